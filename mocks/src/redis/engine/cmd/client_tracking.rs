//! `CLIENT TRACKING`, `CACHING`, `GETREDIR` and `TRACKINGINFO`: how a client that caches is told of changes.

use bytes::Bytes;

use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::client::ClientId;
use crate::redis::engine::error::CmdError;
use crate::redis::engine::number::strict_i64;
use crate::redis::engine::tracking::Tracking;
use crate::redis::resp::Reply;

pub(crate) fn client_tracking(call: &mut Call<'_>) -> Outcome {
    let (wanted, prefixes) = parse(call)?;
    match &call.args[2] {
        word if is(word, "on") => begin(call, wanted, &prefixes)?,
        word if is(word, "off") => call.engine.untrack(call.client),
        _ => return Err(CmdError::SYNTAX),
    }
    Ok(Reply::OK)
}

/// The options, which are read before it is known whether they matter.
fn parse(call: &Call<'_>) -> Result<(Tracking, Vec<Bytes>), CmdError> {
    const ONE: CmdError = CmdError::fixed("ERR A client can only redirect to a single other client");
    const GONE: CmdError = CmdError::fixed("ERR The client ID you want redirect to does not exist");
    let (mut wanted, mut prefixes) = (Tracking::default(), Vec::new());
    let mut rest = call.rest(3);
    while let [word, tail @ ..] = rest {
        rest = tail;
        match (word, tail) {
            (word, [id, tail @ ..]) if is(word, "redirect") => {
                if wanted.redirect != 0 {
                    return Err(ONE);
                }
                let id = strict_i64(id).ok_or(CmdError::NOT_INTEGER)?;
                let id = ClientId::try_from(id).ok().filter(|id| call.engine.clients.contains_key(id));
                wanted.redirect = id.ok_or(GONE)?;
                rest = tail;
            }
            (word, [prefix, tail @ ..]) if is(word, "prefix") => {
                prefixes.push(prefix.clone());
                rest = tail;
            }
            (word, _) if is(word, "bcast") => wanted.broadcast = true,
            (word, _) if is(word, "optin") => wanted.opt_in = true,
            (word, _) if is(word, "optout") => wanted.opt_out = true,
            (word, _) if is(word, "noloop") => wanted.no_loop = true,
            _ => return Err(CmdError::SYNTAX),
        }
    }
    Ok((wanted, prefixes))
}

fn begin(call: &mut Call<'_>, mut wanted: Tracking, prefixes: &[Bytes]) -> Result<(), CmdError> {
    let before = call.client()?.tracking.as_deref();
    check(&wanted, prefixes, before)?;
    if wanted.broadcast {
        check_prefixes(prefixes, before)?;
        // Without a prefix it is told of every key.
        let all = prefixes.is_empty().then(Bytes::new);
        wanted.prefixes.extend(prefixes.iter().cloned().chain(all));
    }
    call.engine.track(call.client, wanted);
    Ok(())
}

/// Whether options fit together, and to how the client tracks already.
fn check(wanted: &Tracking, prefixes: &[Bytes], before: Option<&Tracking>) -> Result<(), CmdError> {
    let refuse = |text: &'static str| Err(CmdError::fixed(text));
    if !wanted.broadcast && !prefixes.is_empty() {
        return refuse("ERR PREFIX option requires BCAST mode to be enabled");
    }
    if before.is_some_and(|before| before.broadcast != wanted.broadcast) {
        return refuse(
            "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then \
             re-enabling it with a different mode.",
        );
    }
    if wanted.broadcast && (wanted.opt_in || wanted.opt_out) {
        return refuse("ERR OPTIN and OPTOUT are not compatible with BCAST");
    }
    if wanted.opt_in && wanted.opt_out {
        return refuse("ERR You can't specify both OPTIN mode and OPTOUT mode");
    }
    let switches = |before: &Tracking| wanted.opt_in && before.opt_out || wanted.opt_out && before.opt_in;
    if before.is_some_and(switches) {
        return refuse(
            "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then \
             re-enabling it with a different mode.",
        );
    }
    Ok(())
}

/// No key may begin with two prefixes of one client.
fn check_prefixes(prefixes: &[Bytes], before: Option<&Tracking>) -> Result<(), CmdError> {
    let overlap = |left: &Bytes, right: &Bytes| left.starts_with(right) || right.starts_with(left);
    let refuse = |prefix: &Bytes, kind: &str, other: &Bytes| {
        let (prefix, other) = (String::from_utf8_lossy(prefix), String::from_utf8_lossy(other));
        CmdError::new(format!(
            "ERR Prefix '{prefix}' overlaps with {kind} prefix '{other}'. Prefixes for a single client must not \
             overlap."
        ))
    };
    for (at, prefix) in prefixes.iter().enumerate() {
        let mut known = before.into_iter().flat_map(|before| &before.prefixes);
        if let Some(other) = known.find(|other| overlap(prefix, other)) {
            return Err(refuse(prefix, "an existing", other));
        }
        if let Some(other) = prefixes[at + 1..].iter().find(|other| overlap(prefix, other)) {
            return Err(refuse(prefix, "another provided", other));
        }
    }
    Ok(())
}

pub(crate) fn client_caching(call: &mut Call<'_>) -> Outcome {
    const OFF: CmdError = CmdError::fixed(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode \
         enabled",
    );
    let word = &call.args[2];
    let tracking = call.client()?.tracking.as_deref_mut().ok_or(OFF)?;
    let fits = match word {
        word if is(word, "yes") => tracking.opt_in,
        word if is(word, "no") => tracking.opt_out,
        _ => return Err(CmdError::SYNTAX),
    };
    if !fits {
        let (word, mode) = if is(word, "yes") { ("YES", "OPTIN") } else { ("NO", "OPTOUT") };
        return Err(CmdError::new(format!(
            "ERR CLIENT CACHING {word} is only valid when tracking is enabled in {mode} mode."
        )));
    }
    tracking.caching = true;
    Ok(Reply::OK)
}

pub(crate) fn client_getredir(call: &mut Call<'_>) -> Outcome {
    Ok(redirect(call.client()?.tracking.as_deref()))
}

fn redirect(tracking: Option<&Tracking>) -> Reply {
    Reply::Int(tracking.map_or(-1, |tracking| i64::try_from(tracking.redirect).unwrap_or(i64::MAX)))
}

pub(crate) fn client_trackinginfo(call: &mut Call<'_>) -> Outcome {
    let tracking = call.client()?.tracking.as_deref();
    let has = |part: fn(&Tracking) -> bool| tracking.is_some_and(part);
    let flags = [
        ("off", tracking.is_none()),
        ("on", tracking.is_some()),
        ("bcast", has(|tracking| tracking.broadcast)),
        ("optin", has(|tracking| tracking.opt_in)),
        ("caching-yes", has(|tracking| tracking.opt_in && tracking.caching)),
        ("optout", has(|tracking| tracking.opt_out)),
        ("caching-no", has(|tracking| tracking.opt_out && tracking.caching)),
        ("noloop", has(|tracking| tracking.no_loop)),
        ("broken_redirect", has(|tracking| tracking.broken)),
    ];
    let flags = flags.into_iter().filter(|(_, set)| *set).map(|(flag, _)| Reply::bulk(flag));
    let prefixes = tracking.into_iter().flat_map(|tracking| tracking.prefixes.iter().cloned());
    Ok(Reply::Map(vec![
        (Reply::bulk("flags"), Reply::Set(flags.collect())),
        (Reply::bulk("redirect"), redirect(tracking)),
        (Reply::bulk("prefixes"), Reply::bulks(prefixes)),
    ]))
}
