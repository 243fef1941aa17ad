//! `squall mock kafka` as programs see it that start it: its addresses, its end, and what it refuses.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};

fn start(arguments: &[&str]) -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_squall"));
    command.args(["mock", "kafka"]).args(arguments).stdin(Stdio::null());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the program starts");
    let mut line = String::new();
    let output = child.stdout.as_mut().expect("the output is piped");
    BufReader::new(output).read_line(&mut line).expect("a line");
    (child, line.trim_end().to_owned())
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_squall"));
    command.args(["mock", "kafka"]).args(arguments).stdin(Stdio::null()).output().expect("the program starts")
}

#[test]
fn every_broker_has_an_address_and_a_signal_ends_them_all() {
    let (mut child, addresses) = start(&["--listen", "127.0.0.1:0", "--brokers", "3"]);
    assert_eq!(addresses.split(',').count(), 3, "{addresses}");
    for address in addresses.split(',') {
        TcpStream::connect(address).expect("it listens");
    }
    // The shell's own: a small system has no program of that name.
    let killed = Command::new("sh").args(["-c", &format!("kill {}", child.id())]).status();
    assert!(killed.expect("a shell").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_strict_cluster_ends_with_an_error_that_names_what_is_not_supported() {
    let (mut child, address) = start(&["--listen", "127.0.0.1:0", "--strict"]);
    let mut stream = TcpStream::connect(address).expect("it listens");
    // Key 99 in version 3.
    stream.write_all(&[0, 0, 0, 8, 0, 99, 0, 3, 0, 0, 0, 1]).expect("sent");
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    let mut error = String::new();
    child.stderr.take().expect("it is piped").read_to_string(&mut error).expect("text");
    assert!(error.contains("found key 99 version 3"), "{error}");
}

#[test]
fn what_makes_no_cluster_is_refused_before_it_listens() {
    for (arguments, reason) in [
        (&["--config", "no.such=1"][..], "no.such"),
        (&["--config", "num.partitions=many"], "num.partitions"),
        (&["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--brokers", "3"], "3"),
        (&["--listen", "127.0.0.1"], "127.0.0.1:9092"),
        (&["--listen", "127.0.0.1:65535", "--brokers", "2"], "room for 2 ports"),
        (&["--listen", "127.0.0.1:0", "--advertise", "a:1", "--brokers", "2"], "2 times --advertise"),
        (&["--listen", "127.0.0.1:0", "--topic", "a:0"], "a:0"),
        (&["--listen", "127.0.0.1:0", "--topic", "a:1:3"], "INVALID_REPLICATION_FACTOR"),
    ] {
        let output = run(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(reason), "{arguments:?}: {error}");
    }
}
