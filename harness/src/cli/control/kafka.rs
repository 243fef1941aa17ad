//! The routes of a Kafka cluster's control port. Each is a call of [`KafkaCluster`]'s own handle.
//!
//! A rule that can never act (an API or an error that does not exist, a probability above 1) is refused here,
//! since whoever wrote it cannot see that it does nothing.

use std::time::Duration;

use async_trait::async_trait;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use squall_mocks::kafka::{
    KafkaCluster, KafkaError, KafkaMatch, ReplicaLag, RequestRecord, api_names, error_code,
};
use squall_mocks::rule::{Act, Rule, duration_text};

use super::{Control, Forwards, Jump, Question, Refusal, cluster, rules};

/// Records of one answer, unless asked otherwise, and at most.
const PAGE: (usize, usize) = (1000, 10_000);
/// Longest wait for requests.
const WAIT: Duration = Duration::from_secs(25);

const ROUTES: [&str; 28] = [
    "GET /health",
    "POST /advance {\"ms\": 1000}",
    "POST /jump {\"ms\": -1000}",
    "GET /rules",
    "POST /rules {\"match\": {\"api\": \"produce\"}, \"act\": \"drop-after\"}",
    "DELETE /rules",
    "DELETE /rules/{name}",
    "GET /nodes",
    "POST /crash {\"node\": 1}",
    "POST /restart {\"node\": 1}",
    "POST /wipe {\"node\": 1}",
    "POST /metadata-lag {\"node\": 1, \"by\": \"500ms\"}",
    "POST /replica-lag {\"node\": 1, \"by\": \"500ms\" | \"hold\"}",
    "GET /topics",
    "POST /topics {\"name\": \"orders\", \"partitions\": 3, \"replicas\": 3, \"configs\": {}}",
    "DELETE /topics/{name}",
    "POST /move-leader {\"topic\": \"orders\", \"partition\": 0, \"to\": 2 | \"next\" | \"nobody\"}",
    "POST /elect-unclean {\"topic\": \"orders\", \"partition\": 0}",
    "POST /expire",
    "POST /isr {\"topic\": \"orders\", \"partition\": 0, \"nodes\": [1, 2]}",
    "GET /records?topic=orders&partition=0&from=0&limit=1000",
    "GET /groups",
    "GET /groups/{id}",
    "POST /move-coordinator {\"group\": \"billing\"}",
    "GET /snapshot",
    "GET /requests?since=0&limit=1000&api=produce",
    "GET /requests/wait?count=1&since=0&api=produce&timeout-ms=5000",
    "GET /unsupported",
];

/// The control of a Kafka cluster.
pub(super) struct KafkaControl {
    cluster: KafkaCluster,
}

impl KafkaControl {
    /// Controls `cluster`, and has it keep its last `records` requests.
    pub(super) fn new(cluster: KafkaCluster, records: usize) -> Self {
        cluster.log_requests(records);
        Self { cluster }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Node {
    node: i32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lag {
    node: i32,
    /// None ends the lag.
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Elect {
    topic: String,
    partition: i32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTopic {
    name: String,
    partitions: i32,
    replicas: Option<i16>,
    #[serde(default)]
    configs: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MoveLeader {
    topic: String,
    partition: i32,
    to: To,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a node's number, \"next\" or \"nobody\"")]
enum To {
    Node(i32),
    Word(Word),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    Next,
    Nobody,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Isr {
    topic: String,
    partition: i32,
    nodes: Vec<i32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    group: String,
}

#[async_trait]
impl Control for KafkaControl {
    async fn answer(&self, question: &Question<'_>) -> Result<Value, Refusal> {
        let path = question.path;
        if path == "rules" {
            return rules::all(self.cluster.rules(), question, &check_rule);
        }
        if let Some(name) = path.strip_prefix("rules/") {
            return rules::one(self.cluster.rules(), question, name);
        }
        if path == "topics" && question.method == Method::POST {
            return self.create_topic(question);
        }
        if let Some(name) = path.strip_prefix("topics/") {
            return self.topic(question, name);
        }
        match path {
            "" | "health" | "nodes" | "topics" | "records" | "groups" | "snapshot" | "requests"
            | "requests/wait" | "unsupported" => self.look(question).await,
            path if path.starts_with("groups/") => self.look(question).await,
            "advance" | "jump" | "crash" | "restart" | "wipe" | "metadata-lag" | "replica-lag"
            | "move-leader" | "elect-unclean" | "expire" | "isr" | "move-coordinator"
                if question.method != Method::POST =>
            {
                Err(Refusal::method(question, "POST"))
            }
            _ => self.change(question),
        }
    }
}

impl KafkaControl {
    /// What looks inside, by GET.
    async fn look(&self, question: &Question<'_>) -> Result<Value, Refusal> {
        if question.method != Method::GET {
            let allowed = if question.path == "topics" { "GET, POST" } else { "GET" };
            return Err(Refusal::method(question, allowed));
        }
        if !matches!(question.path, "records" | "requests" | "requests/wait") {
            question.only(&[])?;
        }
        match question.path {
            "" => Ok(json!({ "server": "kafka", "version": "4.3", "routes": ROUTES })),
            "health" => Ok(json!({ "ok": true, "unix-ms": self.cluster.clock().unix_ms() })),
            "nodes" => Ok(cluster::nodes(&self.cluster)),
            "topics" => Ok(cluster::topics(&self.cluster)),
            "groups" => Ok(json!(self.cluster.group_ids())),
            "snapshot" => Ok(cluster::snapshot(&self.cluster)),
            "unsupported" => to_json(&self.cluster.requests().unsupported()),
            "records" => self.records(question),
            "requests" => self.requests(question),
            "requests/wait" => self.wait(question).await,
            path => {
                let id = path.strip_prefix("groups/").unwrap_or_default();
                let found = cluster::group(&self.cluster, id);
                found.ok_or_else(|| Refusal::not_found(format!("expected a group, found {id:?}")))
            }
        }
    }

    /// What changes the cluster, by POST.
    fn change(&self, question: &Question<'_>) -> Result<Value, Refusal> {
        let cluster = &self.cluster;
        question.only(&[])?;
        match question.path {
            "advance" => {
                cluster.advance(Duration::from_millis(question.json::<Forwards>()?.ms));
                return Ok(json!({ "unix-ms": cluster.clock().unix_ms() }));
            }
            "jump" => {
                cluster.jump(question.json::<Jump>()?.ms);
                return Ok(json!({ "unix-ms": cluster.clock().unix_ms() }));
            }
            "crash" => self.done(question, |it: Node| cluster.node_down(it.node))?,
            "restart" => self.done(question, |it: Node| cluster.node_up(it.node))?,
            "wipe" => self.done(question, |it: Node| cluster.wipe(it.node))?,
            "expire" => cluster.expire_now(),
            "replica-lag" => {
                let Lag { node, by } = question.json()?;
                let wrong = |text| Refusal::invalid(format!("the body at by: {text}; or \"hold\""));
                let lag = match by.as_deref() {
                    None => ReplicaLag::None,
                    Some("hold") => ReplicaLag::Held,
                    Some(by) => ReplicaLag::By(duration_text::parse(by).map_err(wrong)?),
                };
                cluster.set_node_replica_lag(node, lag).map_err(refused)?;
            }
            "elect-unclean" => {
                let Elect { topic, partition } = question.json()?;
                let leader = cluster.elect_unclean(&topic, partition).map_err(refused)?;
                return Ok(json!({ "leader": leader }));
            }
            "metadata-lag" => {
                let Lag { node, by } = question.json()?;
                let wrong = |text| Refusal::invalid(format!("the body at by: {text}"));
                let by = by.map(|by| duration_text::parse(&by)).transpose().map_err(wrong)?;
                cluster.set_metadata_lag(node, by).map_err(refused)?;
            }
            "isr" => self.done(question, |it: Isr| cluster.set_isr(&it.topic, it.partition, &it.nodes))?,
            "move-leader" => {
                let MoveLeader { topic, partition, to } = question.json()?;
                let moved = match to {
                    To::Node(node) => cluster.move_leader(&topic, partition, Some(node)),
                    To::Word(Word::Nobody) => cluster.move_leader(&topic, partition, None),
                    To::Word(Word::Next) => cluster.move_leader_on(&topic, partition).map(|_| ()),
                };
                moved.map_err(refused)?;
                return Ok(json!({ "leader": cluster.leader(&topic, partition) }));
            }
            "move-coordinator" => {
                let node = cluster.move_coordinator(&question.json::<Group>()?.group);
                return Ok(json!({ "coordinator": node }));
            }
            path => {
                return Err(Refusal::not_found(format!("expected one of the paths of GET /, found /{path}")));
            }
        }
        Ok(json!({ "ok": true }))
    }

    fn done<T: DeserializeOwned>(
        &self,
        question: &Question<'_>,
        act: impl FnOnce(T) -> Result<(), KafkaError>,
    ) -> Result<(), Refusal> {
        act(question.json()?).map_err(refused)
    }

    fn create_topic(&self, question: &Question<'_>) -> Result<Value, Refusal> {
        question.only(&[])?;
        let NewTopic { name, partitions, replicas, configs } = question.json()?;
        let configs: Vec<(&str, &str)> = configs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let created = self.cluster.create_topic_with(&name, partitions, replicas.unwrap_or(-1), &configs);
        created.map_err(refused)?;
        Ok(json!({ "ok": true }))
    }

    fn topic(&self, question: &Question<'_>, name: &str) -> Result<Value, Refusal> {
        question.only(&[])?;
        let unknown = || Refusal::not_found(format!("expected a topic, found {name:?}"));
        match *question.method {
            Method::GET => cluster::topic(&self.cluster, name).ok_or_else(unknown),
            Method::DELETE => {
                question.no_body()?;
                self.cluster.delete_topic(name).map_err(|_| unknown())?;
                Ok(json!({ "ok": true }))
            }
            _ => Err(Refusal::method(question, "GET, DELETE")),
        }
    }

    fn records(&self, question: &Question<'_>) -> Result<Value, Refusal> {
        question.only(&["topic", "partition", "from", "limit"])?;
        let topic = question.query.get("topic").ok_or_else(|| Refusal::invalid("expected a topic"))?;
        let partition = question.number("partition", 0)?;
        let (from, limit) = (question.number("from", 0)?, question.number("limit", PAGE.0)?.min(PAGE.1));
        cluster::records(&self.cluster, topic, partition, from, limit).map_err(refused)
    }

    fn requests(&self, question: &Question<'_>) -> Result<Value, Refusal> {
        question.only(&["since", "limit", "api"])?;
        let limit = question.number("limit", PAGE.0)?.min(PAGE.1);
        let wanted = wanted(question)?;
        let log = self.cluster.requests();
        let all = log.since(question.number("since", 0)?, usize::MAX);
        let records: Vec<_> = all.into_iter().filter(wanted).take(limit).collect();
        Ok(json!({ "last": log.last(), "records": to_json(&records)? }))
    }

    async fn wait(&self, question: &Question<'_>) -> Result<Value, Refusal> {
        question.only(&["count", "since", "api", "timeout-ms"])?;
        let count = question.number("count", 1)?;
        let since: u64 = question.number("since", 0)?;
        let limit = Duration::from_millis(question.number("timeout-ms", 5000)?).min(WAIT);
        let wanted = wanted(question)?;
        let log = self.cluster.requests();
        let waiting = log.wait_for(count, |record| record.number > since && wanted(record));
        match tokio::time::timeout(limit, waiting).await {
            Ok(records) => Ok(json!({ "records": to_json(&records)? })),
            Err(_) => {
                let text = format!("expected {count} requests within {} ms, found fewer", limit.as_millis());
                Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, text))
            }
        }
    }
}

/// The requests a question is about.
fn wanted(question: &Question<'_>) -> Result<impl Fn(&RequestRecord) -> bool + use<>, Refusal> {
    let api = question.query.get("api").cloned();
    api.as_deref().map_or(Ok(()), check_api)?;
    Ok(move |record: &RequestRecord| api.as_deref().is_none_or(|api| record.api == api))
}

fn refused(error: KafkaError) -> Refusal {
    Refusal::invalid(error.to_string())
}

fn to_json(value: &impl serde::Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(value)
        .map_err(|error| Refusal::invalid(format!("cannot be written as JSON: {error}")))
}

fn check_rule(rule: &Rule<KafkaMatch>) -> Result<(), Refusal> {
    let matcher = &rule.matcher;
    if let Some(api) = &matcher.api {
        check_api(api).map_err(|refusal| Refusal::invalid(format!("match.api: {}", refusal.text)))?;
    }
    match &rule.act {
        Act::Error(name) | Act::ErrorAfter(name) if error_code(name).is_none() => Err(Refusal::invalid(
            format!("act: expected an error of Kafka like \"NOT_LEADER_OR_FOLLOWER\", found {name:?}"),
        )),
        Act::CorruptCrc if matcher.api.as_deref().is_some_and(|api| api != "fetch") => {
            Err(Refusal::invalid("act: expected corrupt-crc with the api fetch, which alone has batches"))
        }
        _ => Ok(()),
    }
}

fn check_api(api: &str) -> Result<(), Refusal> {
    match api_names().any(|name| name == api) {
        true => Ok(()),
        false => Err(Refusal::invalid(format!("expected an API like \"find-coordinator\", found {api:?}"))),
    }
}
