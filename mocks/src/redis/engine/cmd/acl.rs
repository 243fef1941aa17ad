//! `ACL`: the users, and what was refused to them.

use bytes::Bytes;
use rand::RngExt;

use super::help_admin as help;
use crate::redis::engine::acl::{self, Denied, LogEntry};
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::table;
use crate::redis::resp::Reply;

pub(crate) fn acl_setuser(call: &mut Call<'_>) -> Outcome {
    call.engine.set_user(&call.args[2], call.rest(3), call.client)?;
    Ok(Reply::OK)
}

pub(crate) fn acl_deluser(call: &mut Call<'_>) -> Outcome {
    let names = call.rest(2);
    if names.contains(&acl::DEFAULT) {
        return Err(CmdError::fixed("ERR The 'default' user cannot be removed"));
    }
    let me = call.client;
    Ok(Reply::count(names.iter().filter(|name| call.engine.remove_user(name, me)).count()))
}

pub(crate) fn acl_getuser(call: &mut Call<'_>) -> Outcome {
    Ok(call.engine.acl.describe(&call.args[2]).unwrap_or(Reply::Null))
}

pub(crate) fn acl_list(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::bulks(call.engine.acl.lines()))
}

pub(crate) fn acl_users(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::bulks(call.engine.acl.names().cloned()))
}

pub(crate) fn acl_whoami(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::Bulk(call.client()?.user.clone()))
}

pub(crate) fn acl_load(call: &mut Call<'_>) -> Outcome {
    needs_file(call)?;
    call.engine.load_users(call.client)?;
    Ok(Reply::OK)
}

pub(crate) fn acl_save(call: &mut Call<'_>) -> Outcome {
    needs_file(call)?;
    call.engine.save_users()?;
    Ok(Reply::OK)
}

fn needs_file(call: &Call<'_>) -> Result<(), CmdError> {
    if call.engine.config.get("aclfile").is_some_and(|file| !file.is_empty()) { Ok(()) } else { Err(NO_FILE) }
}

const NO_FILE: CmdError = CmdError::fixed(
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL \
     SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in \
     order to store users in the Redis configuration.",
);

pub(crate) fn acl_cat(call: &mut Call<'_>) -> Outcome {
    match call.rest(2) {
        [] => Ok(Reply::bulks(acl::CATEGORIES)),
        [name] => {
            let Some(category) = acl::category(name) else {
                let name = String::from_utf8_lossy(&name[..name.len().min(128)]);
                return Err(CmdError::new(format!("ERR Unknown category '{name}'")));
            };
            Ok(Reply::bulks(acl::names_in(category)))
        }
        _ => Err(CmdError::wrong_subcommand(call.args)),
    }
}

pub(crate) fn acl_genpass(call: &mut Call<'_>) -> Outcome {
    const BITS: CmdError = CmdError::fixed(
        "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to \
         4096",
    );
    let bits = match call.rest(2) {
        [] => 256,
        [_] => call.integer(2)?,
        _ => return Err(CmdError::wrong_subcommand(call.args)),
    };
    if !(1..=4096).contains(&bits) {
        return Err(BITS);
    }
    let rng = &mut call.engine.rng;
    let digit = |_| b"0123456789abcdef"[rng.random_range(0..16)];
    Ok(Reply::bulk((0..(bits + 3) / 4).map(digit).collect::<Vec<u8>>()))
}

pub(crate) fn acl_log(call: &mut Call<'_>) -> Outcome {
    let count = match call.rest(2) {
        [] => 10,
        [word] if is(word, "reset") => {
            call.engine.acl.log.clear();
            return Ok(Reply::OK);
        }
        [_] => usize::try_from(call.integer(2)?.max(0)).unwrap_or(usize::MAX),
        _ => return Err(CmdError::wrong_subcommand(call.args)),
    };
    let now = call.now_ms();
    Ok(Reply::Array(call.engine.acl.log.iter().take(count).map(|entry| log_entry(entry, now)).collect()))
}

fn log_entry(entry: &LogEntry, now_ms: i64) -> Reply {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of an age are far below 2^53")]
    let age = now_ms.saturating_sub(entry.at_ms) as f64 / 1000.0;
    let text = |text: &'static str| Reply::bulk(text);
    Reply::Map(vec![
        (text("count"), Reply::Int(entry.count)),
        (text("reason"), text(entry.reason)),
        (text("context"), text(entry.context.name())),
        (text("object"), Reply::Bulk(entry.object.clone())),
        (text("username"), Reply::Bulk(entry.user.clone())),
        (text("age-seconds"), Reply::Double(age)),
        (text("client-info"), Reply::bulk(entry.client.clone())),
    ])
}

pub(crate) fn acl_dryrun(call: &mut Call<'_>) -> Outcome {
    let (user, args) = (&call.args[2], call.rest(3));
    let shown = |text: &Bytes| String::from_utf8_lossy(text).into_owned();
    if !call.engine.acl.has(user) {
        return Err(CmdError::new(format!("ERR User '{}' not found", shown(user))));
    }
    let Ok(spec) = table::resolve(args) else {
        return Err(CmdError::new(format!("ERR Command '{}' not found", shown(&args[0]))));
    };
    if !spec.takes(args.len()) {
        return Err(CmdError::wrong_arity(spec.name));
    }
    let what = match call.engine.acl.check(user, spec, args) {
        Ok(()) => return Ok(Reply::OK),
        Err(Denied::Command) => format!("run the '{}' command", spec.name),
        Err(Denied::Key(at)) => format!("access the '{}' key", shown(&args[at])),
        Err(Denied::Channel(at)) => format!("access the '{}' channel", shown(&args[at])),
    };
    Ok(Reply::bulk(format!("This user has no permissions to {what}")))
}

pub(crate) fn acl_help(_: &mut Call<'_>) -> Outcome {
    super::help_reply(help::ACL)
}
