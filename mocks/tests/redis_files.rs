//! What a server reads and writes: its file of users and its configuration. The texts of errors are those of Redis
//! 7.0.15, run for the purpose.

use std::sync::Arc;

use squall_mocks::net::BoxStream;
use squall_mocks::redis::{Files as _, MemoryFiles, RedisOptions, RedisServer, Startup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

type Tested = anyhow::Result<()>;

/// Sends one inline command and reads what comes; empty when the server has closed the connection.
async fn ask(stream: &mut BoxStream, line: &str) -> anyhow::Result<String> {
    let mut reply = Vec::with_capacity(64 * 1024);
    if stream.write_all(format!("{line}\r\n").as_bytes()).await.is_ok() {
        stream.read_buf(&mut reply).await?;
    }
    Ok(String::from_utf8(reply)?)
}

const FILE: &str = "users.acl";

#[tokio::test(start_paused = true)]
async fn a_file_of_users_is_taken_as_a_whole_or_not_at_all() -> Tested {
    let server = RedisServer::new(RedisOptions::default());
    let files = server.use_acl_file(FILE, "user al on nopass ~* +@all\n\n")?;
    let mut client = server.connect();
    let users = "*2\r\n$2\r\nal\r\n$7\r\ndefault\r\n";
    assert_eq!(ask(&mut client, "ACL USERS").await?, users);
    let no_change =
        "WARNING: ACL errors detected, no change to the previously active ACL rules was performed\r\n";
    let cases = [
        (
            "bad line\nuser bob on +nosuch\nuser bob off\nuser x ~a +@nocat +foo >p badrule worse\n",
            "users.acl:1 should start with user keyword followed by the username. users.acl:2: Error in applying \
             operation '+nosuch': Unknown command or category name in ACL. WARNING: Duplicate user 'bob' found on \
             line 3. users.acl:4: Error in applying operation '+@nocat': Unknown command or category name in ACL. \
             users.acl:4: Error in applying operation '+foo': Unknown command or category name in ACL. \
             users.acl:4: Syntax error. ",
        ),
        (
            "user bob on >pw \"~a b\" +get\r\n\n# c\n",
            "users.acl:1: Syntax error. users.acl:3 should start with user keyword followed by the username. ",
        ),
        ("user a\tb on\n", "'users.acl:1: username 'a\tb' contains invalid characters. "),
        ("user\n", "users.acl:1 should start with user keyword followed by the username. "),
        ("user x (+get\n", "users.acl:1: Unmatched parenthesis in selector definition."),
    ];
    for (text, errors) in cases {
        files.write(FILE, text)?;
        assert_eq!(ask(&mut client, "ACL LOAD").await?, format!("-ERR {errors}{no_change}"), "{text}");
        assert_eq!(ask(&mut client, "ACL USERS").await?, users, "{text}");
        let refused = RedisServer::new(RedisOptions::default()).use_acl_file(FILE, text);
        assert!(refused.is_err_and(|error| error.to_string().contains(errors)), "{text}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn loading_users_ends_the_connections_of_all_but_the_default_user() -> Tested {
    let server = RedisServer::new(RedisOptions::default());
    server.use_acl_file(FILE, "user al on nopass ~* +@all\n")?;
    let [mut default, mut al, mut same] = std::array::from_fn(|_| server.connect());
    assert_eq!(ask(&mut al, "AUTH al x").await?, "+OK\r\n");
    assert_eq!(ask(&mut same, "AUTH al x").await?, "+OK\r\n");
    assert_eq!(ask(&mut al, "ACL LOAD").await?, "+OK\r\n");
    assert_eq!(ask(&mut al, "PING").await?, "", "its own after the answer");
    assert_eq!(ask(&mut same, "PING").await?, "");
    assert_eq!(ask(&mut default, "PING").await?, "+PONG\r\n");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn saved_users_are_the_lines_of_acl_list_and_can_be_loaded() -> Tested {
    let server = RedisServer::new(RedisOptions::default());
    let files = server.use_acl_file(FILE, "")?;
    let mut client = server.connect();
    ask(&mut client, "ACL SETUSER al on >p ~* +@all (+get ~x)").await?;
    assert_eq!(ask(&mut client, "ACL SAVE").await?, "+OK\r\n");
    let text = "user al on #148de9c5a7a44d19e56cd9ae1a554bf67847afb0c58f6e12fa29ac7ddfca9940 ~* resetchannels \
                +@all (~x resetchannels -@all +get)\nuser default on nopass ~* &* +@all\n";
    assert_eq!(files.read(FILE)?, text);
    ask(&mut client, "ACL DELUSER al").await?;
    assert_eq!(ask(&mut client, "ACL LOAD").await?, "+OK\r\n");
    assert_eq!(ask(&mut client, "ACL USERS").await?, "*2\r\n$2\r\nal\r\n$7\r\ndefault\r\n");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_server_started_with_a_configuration_file_rewrites_it() -> Tested {
    let files = Arc::new(MemoryFiles::default());
    files.write("redis.conf", "# mine\nhz 10\nuser bob on +get\n")?;
    let startup = Startup::parse(&["redis.conf".to_owned()], Arc::clone(&files) as _)?;
    let server = RedisServer::start_as(startup, RedisOptions::default())?;
    let mut client = server.connect();
    ask(&mut client, "CONFIG SET hz 20 maxmemory 1mb").await?;
    assert_eq!(ask(&mut client, "CONFIG REWRITE").await?, "+OK\r\n");
    let text = "# mine\nhz 20\nuser bob on resetchannels -@all +get\n# Generated by CONFIG REWRITE\nmaxmemory 1mb\n\
                save \"\"\nuser default on nopass ~* &* +@all\n";
    assert_eq!(files.read("redis.conf")?, text);
    let again = Startup::parse(&["redis.conf".to_owned()], files)?;
    assert_eq!((again.get("hz"), again.get("maxmemory")), ("20", "1048576"));
    Ok(())
}
