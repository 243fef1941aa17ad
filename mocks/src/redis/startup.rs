//! The command line and configuration files of `redis-server`, so that programs that start that can start this.
//!
//! As in `main` and `loadServerConfigFromString` of Redis 7.0: options become lines at the end of the file,
//! the last line for a parameter counts, and errors are the real server's. Nothing is started here and no
//! file is read but through [`Files`].
//!
//! Not supported, and refused: TLS, modules, `rename-command` lines, Sentinel.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::engine::files::{Home, reason};
use super::engine::peers::Reach;
use super::engine::{Config, Declared, Expiry, Files, MemoryFiles, Peers};
use super::options::RedisOptions;
use super::resp::split_words;
use super::server::RedisServer;

/// A server's parameters as its command line and files set them.
#[derive(Debug)]
pub struct Startup {
    pub(super) config: Config,
    given: Vec<String>,
    users: Declared,
    home: Home,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartupError {
    /// A line that is not understood, in the real server's words.
    #[error("\n*** FATAL CONFIG FILE ERROR (Redis {version}) ***\nReading the configuration file, at line {line}\n>>> '{text}'\n{why}{place}", version = super::engine::VERSION)]
    Line {
        /// The number of the line, from 1; options of a command line come after the file.
        line: usize,
        /// The line.
        text: String,
        /// What is wrong with it.
        why: String,
        /// The file and the line in it, on a line of its own; empty for options of a command line.
        place: String,
    },
    /// A file cannot be read.
    #[error("Fatal error, can't open config file '{path}': {why}", why = reason(source))]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The users are not right, in the real server's words.
    #[error("{0}")]
    Users(String),
}

/// Files that include files that include files.
const DEEPEST_INCLUDE: usize = 16;

impl Startup {
    /// Understands the arguments of a command line, without the program's name.
    ///
    /// # Errors
    /// [`StartupError`], which is what the program should print before it exits with 1.
    pub fn parse(arguments: &[String], files: Arc<dyn Files>) -> Result<Self, StartupError> {
        let (file, mut rest) = match arguments {
            [file, rest @ ..] if !file.starts_with('-') => (Some(file), rest),
            rest => (None, rest),
        };
        let home = Home { files, config: file.cloned() };
        let files = Arc::clone(&home.files);
        let mut startup = Self { config: Config::new(), given: Vec::new(), users: Declared::default(), home };
        let mut text = file.map(|path| read(&*files, path)).transpose()?.unwrap_or_default();
        let place = file.map(|path| (path.as_str(), text.split('\n').count()));
        if let [first, tail @ ..] = rest
            && first == "-"
        {
            text.push_str(&standard_input(&*files)?);
            rest = tail;
        } else if let [front @ .., last] = rest
            && last == "-"
        {
            text.push_str(&standard_input(&*files)?);
            rest = front;
        }
        if !arguments.is_empty() {
            text.push('\n');
            text.push_str(&lines_of(rest));
        }
        startup.load(&text, place, &*files, 0)?;
        Ok(startup)
    }

    /// A parameter's value; empty if there is no such parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.config.get(name).unwrap_or_default()
    }

    /// A parameter's value as a number; 0 if it is none.
    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        self.get(name).parse().unwrap_or(0)
    }

    /// Whether the command line or a file sets a parameter.
    #[must_use]
    pub fn is_given(&self, name: &str) -> bool {
        self.given.iter().any(|given| given == name)
    }

    /// Understands lines, of which the first are those of a file.
    fn load(
        &mut self,
        text: &str,
        file: Option<(&str, usize)>,
        files: &dyn Files,
        depth: usize,
    ) -> Result<(), StartupError> {
        for (at, line) in text.split('\n').enumerate() {
            let line = line.trim_matches([' ', '\t', '\r', '\n']);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = file.filter(|(_, lines)| at < *lines);
            let place = place.map(|(path, _)| format!("\nin {path}:{}", at + 1)).unwrap_or_default();
            let refused =
                |why| StartupError::Line { line: at + 1, text: line.to_owned(), why, place: place.clone() };
            let words = split_words(line.as_bytes());
            let words = words.ok_or_else(|| refused("Unbalanced quotes in configuration line".to_owned()))?;
            let words: Vec<String> =
                words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
            let Some((name, values)) = words.split_first() else { continue };
            let name = name.to_ascii_lowercase();
            if let ("include", [path]) = (name.as_str(), values) {
                if depth == DEEPEST_INCLUDE {
                    return Err(refused(format!("more than {DEEPEST_INCLUDE} files include one another")));
                }
                let text = read(files, path)?;
                self.load(&text, Some((path, usize::MAX)), files, depth + 1)?;
            } else {
                self.directive(&name, values).map_err(refused)?;
                self.given.push(name);
            }
        }
        Ok(())
    }

    fn directive(&mut self, name: &str, values: &[String]) -> Result<(), String> {
        if self.config.load(name, values)? {
            return Ok(());
        }
        let unsupported = |what: &str| Err(format!("the mock does not support {what}"));
        match (name, values.len()) {
            ("list-max-ziplist-entries" | "list-max-ziplist-value" | "lua-replicate-commands", 1) => Ok(()),
            ("rename-command", 2) => unsupported("renamed commands"),
            ("user", 1..) => {
                let words: Vec<Bytes> = values.iter().cloned().map(Bytes::from).collect();
                self.users.add(&words)
            }
            ("loadmodule", 1..) => unsupported("modules"),
            ("sentinel", _) => unsupported("Sentinel"),
            _ => Err("Bad directive or wrong number of arguments".to_owned()),
        }
    }
}

impl RedisServer {
    /// A server with the parameters of a command line; of `options`, those that Redis has no parameter for.
    ///
    /// # Errors
    /// If the file of users is not right, or says something else than the configuration.
    pub fn start_as(startup: Startup, mut options: RedisOptions) -> Result<Self, StartupError> {
        let size = |name| usize::try_from(startup.number(name)).unwrap_or(usize::MAX);
        options.databases = size("databases");
        options.limits.clients = size("maxclients");
        options.expiry = Expiry::Redis { hz: u32::try_from(startup.number("hz")).unwrap_or(10) };
        let server = Self::new(options);
        let mut config = startup.config;
        config.home = Some(startup.home);
        server.engine().configure(config);
        server.engine().begin_users(&startup.users).map_err(StartupError::Users)?;
        Ok(server)
    }

    /// Gives the server a file of users in memory with this text, as `aclfile` does: the users are those of the
    /// file, `ACL LOAD` reads it and `ACL SAVE` writes it. Answers the files, for changing and reading it.
    ///
    /// # Errors
    /// If the text is not right, with the lines that are not. The server's users are then what they were.
    pub fn use_acl_file(&self, path: &str, text: &str) -> Result<Arc<MemoryFiles>, StartupError> {
        let files = Arc::new(MemoryFiles::default());
        let written = files.write(path, text);
        written.map_err(|error| StartupError::Users(reason(&error)))?;
        let mut engine = self.engine();
        engine.config.home = Some(Home { files: Arc::clone(&files) as Arc<dyn Files>, config: None });
        engine.config.force("aclfile", path.to_owned());
        engine.begin_users(&Declared::default()).map_err(StartupError::Users)?;
        Ok(files)
    }

    /// Lets the server reach others, for `MIGRATE`. It stands still while it does.
    pub fn reach_others(&self, peers: Arc<dyn Peers>) {
        self.engine().config.reach = Reach(Some(peers));
    }

    /// The port that `CONFIG GET port` and `INFO` report.
    pub fn set_port(&self, port: u16) {
        self.engine().set_port(port);
    }

    /// Waits until a client has sent `SHUTDOWN`. From then on the server is [`RedisServer::down`].
    pub async fn ended(&self) {
        loop {
            let end = self.shared.end.notified();
            tokio::pin!(end);
            end.as_mut().enable();
            if self.shared.ended.load(Ordering::Acquire) {
                return;
            }
            end.await;
        }
    }

    pub(super) fn end(&self) {
        self.down();
        self.shared.ended.store(true, Ordering::Release);
        self.shared.end.notify_waiters();
    }
}

fn read(files: &dyn Files, path: &str) -> Result<String, StartupError> {
    files.read(path).map_err(|source| StartupError::Unreadable { path: path.to_owned(), source })
}

fn standard_input(files: &dyn Files) -> Result<String, StartupError> {
    files.standard_input().map_err(|source| StartupError::Unreadable { path: "-".to_owned(), source })
}

/// The options of a command line as lines of a file: `--port 1` is `port "1"`.
fn lines_of(arguments: &[String]) -> String {
    let mut lines = String::new();
    // Whether the option before has a value, so that a word with dashes is another option.
    let mut is_complete = true;
    for (at, argument) in arguments.iter().enumerate() {
        let Some(option) = argument.strip_prefix("--").filter(|_| is_complete) else {
            lines.push_str(&quoted(argument));
            lines.push(' ');
            is_complete = true;
            continue;
        };
        if !lines.is_empty() {
            lines.push('\n');
        }
        lines.push_str(option);
        lines.push(' ');
        let is_alone = split_words(argument.as_bytes()).is_some_and(|words| words.len() == 1);
        let next = arguments.get(at + 1);
        let ends = next.is_none_or(|next| next.starts_with("--"));
        is_complete = !is_alone;
        if is_alone && ends && option.eq_ignore_ascii_case("save") {
            // Older command lines say so for no snapshots.
            lines.push_str("\"\"");
            is_complete = true;
        }
    }
    lines
}

/// A word in double quotes, as `sdscatrepr` writes it.
fn quoted(word: &str) -> String {
    let mut quoted = String::from('"');
    for c in word.chars() {
        match c {
            '\\' | '"' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(&'static str);

    impl Files for Fixed {
        fn read(&self, path: &str) -> io::Result<String> {
            match path {
                "main.conf" => Ok(self.0.to_owned()),
                "loop.conf" => Ok("include loop.conf".to_owned()),
                _ => Err(io::ErrorKind::NotFound.into()),
            }
        }

        fn write(&self, _: &str, _: &str) -> io::Result<()> {
            Err(io::ErrorKind::PermissionDenied.into())
        }

        fn standard_input(&self) -> io::Result<String> {
            Ok("maxmemory 1mb\n".to_owned())
        }
    }

    fn parse(line: &str, file: &'static str) -> Result<Startup, String> {
        let words = split_words(line.as_bytes()).unwrap_or_default();
        let words: Vec<String> =
            words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        Startup::parse(&words, Arc::new(Fixed(file))).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_has_the_last_word() {
        let startup = parse("main.conf - --port 7001 --save '' --appendonly no", "port 7000\n# no\nhz 20\n");
        let startup = startup.expect("understood");
        let names = ["port", "hz", "maxmemory", "save", "appendonly"];
        assert_eq!(names.map(|name| startup.get(name)), ["7001", "20", "1048576", "", "no"]);
        assert!(startup.is_given("hz") && !startup.is_given("timeout"));
    }

    #[test]
    fn an_option_may_look_like_an_option_if_it_is_a_value() {
        let startup = parse("--requirepass --secret --bind 127.0.0.1 -::1 --save --port 1", "");
        let startup = startup.expect("understood");
        assert_eq!(startup.get("requirepass"), "--secret");
        assert_eq!(startup.get("bind"), "127.0.0.1 -::1");
        assert_eq!(startup.get("port"), "1");
    }

    #[test]
    fn errors_name_the_line_as_the_real_server_does() {
        let error = parse("--foo bar", "").expect_err("no such parameter");
        let text = "\n*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\nReading the configuration file, at line 2\n\
                    >>> 'foo \"bar\"'\nBad directive or wrong number of arguments";
        assert_eq!(error, text);
        assert!(parse("--hz 'a b'", "").is_err_and(|error| error.contains("couldn't be parsed")));
        assert!(parse("--port", "").is_err_and(|error| error.ends_with("'port'\nwrong number of arguments")));
        assert!(parse("--tls-port 7000", "").is_err_and(|error| error.ends_with("TLS is not supported")));
        let unbalanced = parse("main.conf", "port 1\nhz \"1").expect_err("no closing quote");
        assert!(
            unbalanced.ends_with("\nUnbalanced quotes in configuration line\nin main.conf:2"),
            "{unbalanced}"
        );
        assert!(parse("none.conf", "").is_err_and(|error| error.starts_with("Fatal error, can't open")));
    }

    #[test]
    fn users_of_a_configuration_are_checked_line_by_line_and_their_commands_at_the_start() {
        let start = |line: &str| {
            let startup = parse(line, "user bob on +get\nuser default on >secret ~* +@all\n")?;
            RedisServer::start_as(startup, RedisOptions::default()).map_err(|error| error.to_string())
        };
        let server = start("main.conf").expect("started");
        let lines = server.engine().acl_lines();
        assert!(lines[0].starts_with("user bob on resetchannels -@all +get"), "{lines:?}");
        assert!(lines[1].starts_with("user default on #2bb80d537b1d"), "{lines:?}");
        let refused = |line| start(line).err().unwrap_or_default();
        assert!(refused("--user al badrule").ends_with("Error in user declaration 'user': Syntax error"));
        assert!(refused("main.conf --user bob off").contains("'bob': Duplicate user found."));
        let unknown = "Error loading ACL rule '+foo' for the user named 'al': Unknown command or category name in \
                       ACL\nCritical error while loading ACLs. Exiting.";
        assert_eq!(refused("--user al +foo"), unknown);
        assert!(refused("main.conf --aclfile users.acl").contains("but not both"));
        assert!(
            refused("--aclfile none.acl").ends_with("opening file 'none.acl': No such file or directory")
        );
    }

    #[test]
    fn files_that_include_one_another_end() {
        assert!(parse("loop.conf", "").is_err_and(|error| error.contains("include one another")));
    }
}
