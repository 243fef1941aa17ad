//! `squall mock kafka`: a cluster of brokers on real ports and in real time.
//!
//! Standard output gets one line with the address of every broker, separated by commas (what clients take as
//! `bootstrap.servers`), and one with that of the control port, if there is one, as `http://…`.

use std::io;
use std::path::PathBuf;

use clap::Args;
use squall_mocks::Clock;
use squall_mocks::kafka::{KafkaCluster, KafkaOptions, SaslOptions, Unsupported};
use squall_mocks::tls::TlsIdentity;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use super::super::{Context, Failure, control, key_value};
use super::bind;

/// Most brokers of a cluster.
const BROKERS: u16 = 64;

const USAGE: &str = "\
The first line of standard output is what clients take as bootstrap.servers,
the second, with --control, that of the control port, which
docs/mock-control-kafka.md tells about.
It serves until SIGTERM or SIGINT.

  squall mock kafka                            one broker on 127.0.0.1:9092
  squall mock kafka --listen 127.0.0.1:0 --brokers 3 --topic orders:6:3
  squall mock kafka --listen 127.0.0.1:9092 --listen 127.0.0.2:9092
  squall mock kafka --config log.retention.ms=60000 --control 127.0.0.1:0
  squall mock kafka --listen 0.0.0.0:9092 --advertise kafka:9092";

/// A Kafka cluster; mocks/SUPPORT.md lists its APIs.
#[derive(Args)]
#[command(after_help = USAGE)]
pub(super) struct KafkaArgs {
    /// Where brokers listen: one address, whose port the first takes and the
    /// others follow, or one for each broker. Port 0 takes free ones.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    listen: Vec<String>,
    /// How many brokers; by default as many as addresses.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(BROKERS)))]
    brokers: Option<u16>,
    /// The address clients are told, if they reach a broker by another than
    /// it listens on; once for each broker.
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Vec<String>,
    /// Create a topic; may be given several times.
    #[arg(long, value_name = "NAME[:PARTITIONS[:REPLICAS]]", value_parser = topic)]
    topic: Vec<(String, i32, i16)>,
    /// Create topics that clients ask about.
    #[arg(long)]
    auto_create_topics: bool,
    /// A broker's setting by Kafka's name; may be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = key_value)]
    config: Vec<(String, String)>,
    /// A user who may connect, by SASL PLAIN or SCRAM; nobody else may then.
    #[arg(long, value_name = "NAME:PASSWORD", value_parser = user)]
    sasl_user: Vec<(String, String)>,
    /// A file with a certificate chain as PEM; clients must then speak TLS.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// A file with the certificate's key as PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Decides ids and where replicas are placed.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// A port for faults and questions.
    #[arg(long, value_name = "HOST:PORT")]
    control: Option<String>,
    /// End with exit code 1 when a client asks for what is not supported.
    #[arg(long)]
    strict: bool,
}

fn topic(text: &str) -> Result<(String, i32, i16), String> {
    let expected = || format!("expected a topic like orders, orders:3 or orders:3:1, found {text:?}");
    let mut parts = text.split(':');
    let name = parts.next().filter(|name| !name.is_empty()).ok_or_else(expected)?;
    let partitions = parts.next().unwrap_or("1").parse().ok().filter(|n| (1..=10_000).contains(n));
    // -1 stands for the cluster's default.
    let replicas = parts.next().unwrap_or("-1").parse().ok().filter(|n| *n == -1 || (1..=64).contains(n));
    match (partitions, replicas, parts.next()) {
        (Some(partitions), Some(replicas), None) => Ok((name.to_owned(), partitions, replicas)),
        _ => Err(expected()),
    }
}

fn user(text: &str) -> Result<(String, String), String> {
    let found = text.split_once(':').filter(|(name, password)| !name.is_empty() && !password.is_empty());
    let (name, password) = found.ok_or("expected a user like alice:secret")?;
    Ok((name.to_owned(), password.to_owned()))
}

/// The certificate to show to clients, if there is one.
fn identity(arguments: &KafkaArgs) -> Result<Option<TlsIdentity>, Failure> {
    let (Some(certificate), Some(key)) = (&arguments.tls_cert, &arguments.tls_key) else { return Ok(None) };
    let read = |path: &PathBuf| {
        let wrong = |error| Failure::Invalid(format!("error: cannot read {}: {error}", path.display()));
        std::fs::read(path).map_err(wrong)
    };
    let identity = TlsIdentity::from_pem(&read(certificate)?, &read(key)?);
    identity.map(Some).map_err(|error| Failure::Invalid(format!("error: --tls-cert: {error}")))
}

pub(super) fn run(arguments: &KafkaArgs, context: &mut Context<'_>) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(arguments, context))
}

async fn serve(arguments: &KafkaArgs, context: &mut Context<'_>) -> Result<u8, Failure> {
    let identity = identity(arguments)?;
    let listeners = listen(arguments).await?;
    let addresses: Vec<String> =
        listeners.iter().map(|it| it.local_addr().map(|at| at.to_string())).collect::<io::Result<_>>()?;
    let control = control::listen(arguments.control.as_deref()).await?;
    let cluster = cluster(arguments, &addresses)?;
    let (mut end, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut running = JoinSet::new();
    for (node, listener) in (1..).zip(listeners) {
        let (cluster, identity) = (cluster.clone(), identity.clone());
        running.spawn(async move {
            let served = match identity {
                Some(identity) => cluster.serve(node, identity.listen(listener)).await,
                None => cluster.serve(node, listener).await,
            };
            served.map_err(io::Error::other)
        });
    }
    writeln!(context.out, "{}", addresses.join(","))?;
    if let Some(control) = &control {
        writeln!(context.out, "{}", control.url()?)?;
    }
    // At once: whoever started the program waits for it.
    context.out.flush()?;
    running.spawn(control::serve_kafka(control, cluster.clone()));
    tokio::select! {
        biased;
        _ = end.recv() => {}
        _ = interrupt.recv() => {}
        what = cluster.requests().wait_for_unsupported(), if arguments.strict => return refuse(&what),
        Some(ended) = running.join_next() => ended.map_err(io::Error::other)??,
    }
    // A strict run may be ended in the moment in which it fails.
    match cluster.requests().unsupported().first().filter(|_| arguments.strict) {
        Some(what) => refuse(what),
        None => Ok(0),
    }
}

/// Binds every broker's address.
async fn listen(arguments: &KafkaArgs) -> Result<Vec<TcpListener>, Failure> {
    let given = &arguments.listen;
    let brokers = arguments.brokers.map_or(given.len(), usize::from);
    let expected = |what: String| Err(Failure::Invalid(format!("error: {what}")));
    if given.len() > 1 && brokers != given.len() {
        return expected(format!("expected one --listen or {brokers} of them, found {}", given.len()));
    }
    if brokers > usize::from(BROKERS) {
        return expected(format!("expected at most {BROKERS} brokers, found {brokers}"));
    }
    if !matches!(arguments.advertise.len(), 0) && arguments.advertise.len() != brokers {
        let found = arguments.advertise.len();
        return expected(format!(
            "expected {brokers} times --advertise, once for each broker, found {found}"
        ));
    }
    let mut listeners = Vec::new();
    if let [first] = given.as_slice() {
        let split = first.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        let Some((host, port)) = split else {
            return expected(format!(
                "expected an address like 127.0.0.1:9092 after --listen, found {first:?}"
            ));
        };
        for broker in 0..u16::try_from(brokers).unwrap_or(BROKERS) {
            let port = if port == 0 { Some(0) } else { port.checked_add(broker) };
            let Some(port) = port else {
                return expected(format!("expected room for {brokers} ports from {first} on, found none"));
            };
            listeners.push(bind(&format!("{host}:{port}")).await?);
        }
    } else {
        for address in given {
            listeners.push(bind(address).await?);
        }
    }
    Ok(listeners)
}

fn cluster(arguments: &KafkaArgs, addresses: &[String]) -> Result<KafkaCluster, Failure> {
    let told = if arguments.advertise.is_empty() { addresses } else { &arguments.advertise };
    let invalid = |what: String| Failure::Invalid(format!("error: {what}"));
    let mut options = KafkaOptions {
        clock: Clock::system(),
        seed: arguments.seed,
        auto_create_topics: arguments.auto_create_topics,
        strict: arguments.strict,
        sasl: (!arguments.sasl_user.is_empty()).then(|| SaslOptions::users(arguments.sasl_user.clone())),
        ..KafkaOptions::advertised(told)
    };
    for (name, value) in &arguments.config {
        options
            .set_broker_config(name, value)
            .map_err(|error| invalid(format!("--config {name}: {error}")))?;
    }
    let cluster = KafkaCluster::new(options);
    for (name, partitions, replicas) in &arguments.topic {
        let created = cluster.create_topic_with(name, *partitions, *replicas, &[]);
        created.map_err(|error| invalid(format!("--topic {name}: {error}")))?;
    }
    Ok(cluster)
}

fn refuse(what: &Unsupported) -> Result<u8, Failure> {
    use std::io::Write as _;
    let Unsupported { node, peer, reason, .. } = what;
    writeln!(io::stderr(), "error: {peer} asked broker {node} for what is not supported: {reason}")?;
    Ok(1)
}
