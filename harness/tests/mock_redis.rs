//! `squall mock redis` as programs see it that start a redis-server: its command line, its end, its files.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

struct Server {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Server {
    /// Starts a server and waits until it listens.
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_squall"));
        let child = command.args(["mock", "redis"]).args(arguments).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("the program starts");
        let mut output = BufReader::new(child.stdout.take().expect("the output is piped"));
        let mut line = String::new();
        while !line.ends_with(" * Ready to accept connections\n") {
            line.clear();
            assert_ne!(output.read_line(&mut line).expect("a line"), 0, "the server ended");
        }
        Self { child, output }
    }

    fn exit_code(mut self) -> Option<i32> {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("the output ends with the program");
        self.child.wait().expect("the program ends").code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_squall"));
    command.args(["mock", "redis"]).args(arguments).stdin(Stdio::null()).output().expect("the program starts")
}

/// Sends a request and checks the answer.
fn check(socket: &std::path::Path, request: &str, expected: &str) {
    let mut client = UnixStream::connect(socket).expect("the server listens");
    client.set_read_timeout(Some(std::time::Duration::from_secs(10))).expect("a limit");
    client.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = vec![0; expected.len()];
    client.read_exact(&mut answer).expect("the server answers");
    assert_eq!(String::from_utf8_lossy(&answer), expected);
}

#[test]
fn a_server_on_a_unix_socket_ends_when_a_client_says_so_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (socket, pidfile) = (folder.path().join("r.sock"), folder.path().join("r.pid"));
    let path = socket.to_str().expect("text");
    let arguments = ["--port", "0", "--unixsocket", path, "--pidfile", pidfile.to_str().expect("text")];
    let server = Server::start(&arguments);
    check(&socket, "config get port\r\n", "*2\r\n$4\r\nport\r\n$1\r\n0\r\n");
    assert!(pidfile.exists());
    check(&socket, "shutdown nosave\r\n", "");
    assert_eq!(server.exit_code(), Some(0));
    assert!(!socket.exists() && !pidfile.exists());
}

#[test]
fn a_termination_signal_is_a_graceful_end() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    // The shell's own: a small system has no program of that name.
    let kill = format!("kill {}", server.child.id());
    let killed = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
    assert!(killed.success());
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn parameters_come_from_a_file_and_the_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let (socket, file) = (folder.path().join("r.sock"), folder.path().join("r.conf"));
    std::fs::write(&file, "port 0\nmaxmemory 1mb\nrequirepass \"a b\"\n").expect("written");
    let arguments = [file.to_str().expect("text"), "--unixsocket", socket.to_str().expect("text")];
    let _server = Server::start(&arguments);
    let expected = "+OK\r\n*2\r\n$9\r\nmaxmemory\r\n$7\r\n1048576\r\n";
    check(&socket, "AUTH 'a b'\r\nCONFIG GET maxmemory\r\n", expected);
}

#[test]
fn a_server_in_the_background_finds_its_files_from_where_it_was_started() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("data")).expect("a folder");
    let text = "port 0\ndaemonize yes\ndir data\nunixsocket r.sock\nenable-module-command yes\n";
    std::fs::write(folder.path().join("r.conf"), text).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_squall"));
    let started = command.current_dir(&folder).args(["mock", "redis", "r.conf"]).output().expect("it starts");
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    let failed = "-ERR Error loading the extension. Please check the server logs.\r\n";
    let socket = folder.path().join("data/r.sock");
    check(&socket, "module load none.so\r\n", failed);
    check(&socket, "shutdown nosave\r\n", "");
}

#[test]
fn what_is_not_understood_is_refused_in_the_real_servers_words() {
    let output = run(&["--nosuch", "1"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(">>> 'nosuch \"1\"'\nBad directive or wrong number of arguments"), "{text}");
    let version = run(&["--version"]);
    assert!(String::from_utf8_lossy(&version.stdout).starts_with("Redis server v=7.0.15 "));
}

#[test]
fn commands_that_come_while_the_server_is_busy_run_in_the_order_in_which_they_came() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("r.sock");
    let _server = Server::start(&["--port", "0", "--unixsocket", socket.to_str().expect("text")]);
    let connect = || UnixStream::connect(&socket).expect("the server listens");
    let (mut busy, mut clients) = (connect(), [connect(), connect(), connect(), connect()]);
    // The one whose answer is read last has room to write again, which the kernel tells of in its turn too: it is
    // the one that comes first anyway.
    for client in clients.iter_mut().chain([&mut busy]) {
        client.set_read_timeout(Some(std::time::Duration::from_secs(10))).expect("a limit");
        // It is served from now on.
        client.write_all(b"ping\r\n").expect("the server reads");
        client.read_exact(&mut [0; 7]).expect("the server answers");
    }
    busy.write_all(b"eval 'for i = 1, 3000000 do end' 0\r\n").expect("the server reads");
    for client in &mut clients {
        client.write_all(b"rpush order x\r\n").expect("the server reads");
    }
    for (place, client) in clients.iter_mut().enumerate() {
        let mut answer = [0; 4];
        client.read_exact(&mut answer).expect("the server answers");
        assert_eq!(String::from_utf8_lossy(&answer), format!(":{}\r\n", place + 1));
    }
}

#[test]
fn users_and_parameters_are_written_to_the_files_they_came_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    let (socket, file, users) = (folder.path().join("r.sock"), text("r.conf"), text("users.acl"));
    std::fs::write(&file, format!("# mine\nport 0\ndir {}\naclfile users.acl\n", text(""))).expect("written");
    std::fs::write(&users, "user al on nopass +get\n").expect("written");
    let _server = Server::start(&[&file, "--unixsocket", socket.to_str().expect("text")]);
    check(&socket, "ACL DELUSER al\r\nACL SAVE\r\n", ":1\r\n+OK\r\n");
    let saved = std::fs::read_to_string(&users).expect("there");
    assert_eq!(saved, "user default on nopass ~* &* +@all\n");
    check(&socket, "CONFIG SET hz 50\r\nCONFIG REWRITE\r\n", "+OK\r\n+OK\r\n");
    let rewritten = std::fs::read_to_string(&file).expect("there");
    assert!(rewritten.starts_with("# mine\nport 0\n"), "{rewritten}");
    assert!(rewritten.contains("# Generated by CONFIG REWRITE\n"), "{rewritten}");
    assert!(rewritten.contains("\nhz 50\n") && !rewritten.contains("user "), "{rewritten}");
    std::fs::write(&users, "user al +nosuch\n").expect("written");
    let output = run(&["--port", "0", "--aclfile", &users]);
    assert_eq!(output.status.code(), Some(1));
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(why.starts_with("Aborting Redis startup because of ACL errors: "), "{why}");
    assert!(why.contains("users.acl:1: Error in applying operation '+nosuch'"), "{why}");
}

#[test]
fn help_fits_a_terminal_of_eighty_columns_and_a_wrong_line_is_named_with_its_file() {
    let help = run(&["--help"]).stdout;
    let help = String::from_utf8_lossy(&help);
    let (_, own) = help.split_once("Print help").expect("options, then examples");
    assert!(own.lines().all(|line| line.len() <= 80), "{own}");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("r.conf");
    std::fs::write(&file, "port 0\n\nmaxmemori 5\n").expect("written");
    let output = run(&[file.to_str().expect("text"), "--listen=127.0.0.1:0"]);
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(why.trim_end().ends_with("r.conf:3"), "{why}");
}

#[test]
fn keys_move_to_another_server_with_their_deadlines() {
    let folder = tempfile::tempdir().expect("a folder");
    let [from, to] = ["from.sock", "to.sock"].map(|name| folder.path().join(name));
    let at = |socket: &std::path::Path| socket.to_str().expect("text").to_owned();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port().to_string();
    let _from = Server::start(&["--port", "0", "--unixsocket", &at(&from)]);
    check(
        &from,
        &format!("SET a 1\r\nMIGRATE 127.0.0.1 {port} a 0 50\r\n"),
        "+OK\r\n-IOERR error or timeout reading from target instance\r\n",
    );
    drop(listener);
    check(
        &from,
        &format!("MIGRATE 127.0.0.1 {port} a 0 50\r\n"),
        "-IOERR error or timeout writing to target instance\r\n",
    );
    let arguments = ["--port", &port, "--unixsocket", &at(&to), "--requirepass", "pw"];
    let _to = Server::start(&arguments);
    check(
        &from,
        &format!("MIGRATE 127.0.0.1 {port} a 0 1000\r\n"),
        "-ERR Target instance replied with error: NOAUTH Authentication required.\r\n",
    );
    check(&from, "RPUSH b x y\r\nPEXPIREAT a 99999999999999\r\n", ":2\r\n:1\r\n");
    let all = format!("MIGRATE 127.0.0.1 {port} \"\" 2 1000 AUTH pw KEYS a none b\r\nDBSIZE\r\n");
    check(&from, &all, "+OK\r\n:0\r\n");
    check(&to, "AUTH pw\r\nSELECT 2\r\nLRANGE b 0 -1\r\n", "+OK\r\n+OK\r\n*2\r\n$1\r\nx\r\n$1\r\ny\r\n");
    check(&to, "AUTH pw\r\nSELECT 2\r\nGET a\r\nPERSIST a\r\n", "+OK\r\n+OK\r\n$1\r\n1\r\n:1\r\n");
    let again = format!("SET a 2\r\nMIGRATE 127.0.0.1 {port} a 2 1000 AUTH pw\r\n");
    check(
        &from,
        &again,
        "+OK\r\n-ERR Target instance replied with error: BUSYKEY Target key name already exists.\r\n",
    );
    let copy = format!("MIGRATE 127.0.0.1 {port} a 2 1000 COPY REPLACE AUTH pw\r\nGET a\r\n");
    check(&from, &copy, "+OK\r\n$1\r\n2\r\n");
    check(&to, "AUTH pw\r\nSELECT 2\r\nGET a\r\n", "+OK\r\n+OK\r\n$1\r\n2\r\n");
}
