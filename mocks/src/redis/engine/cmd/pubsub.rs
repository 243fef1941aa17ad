//! `SUBSCRIBE`, `PUBLISH`, `PUBSUB` and their like, behaving as `pubsub.c` of Redis 7.0.
//!
//! A command that (un)subscribes answers once for each name it was given. Shards are those of a cluster; outside
//! of one every channel is in reach.

use super::help;
use crate::redis::engine::call::{Call, Outcome};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::pubsub::Topic;
use crate::redis::glob;
use crate::redis::resp::Reply;

pub(crate) fn subscribe(call: &mut Call<'_>) -> Outcome {
    Ok(begin(call, Topic::Channel))
}

pub(crate) fn psubscribe(call: &mut Call<'_>) -> Outcome {
    Ok(begin(call, Topic::Pattern))
}

pub(crate) fn ssubscribe(call: &mut Call<'_>) -> Outcome {
    // The others may be queued in a transaction, for the sake of old clients.
    if !call.can_wait() {
        return Err(CmdError::fixed("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client"));
    }
    Ok(begin(call, Topic::Shard))
}

pub(crate) fn unsubscribe(call: &mut Call<'_>) -> Outcome {
    Ok(end(call, Topic::Channel))
}

pub(crate) fn punsubscribe(call: &mut Call<'_>) -> Outcome {
    Ok(end(call, Topic::Pattern))
}

pub(crate) fn sunsubscribe(call: &mut Call<'_>) -> Outcome {
    Ok(end(call, Topic::Shard))
}

fn begin(call: &mut Call<'_>, topic: Topic) -> Reply {
    let names = call.rest(1).iter();
    Reply::Several(names.map(|name| call.engine.subscribe(call.client, topic, name)).collect())
}

fn end(call: &mut Call<'_>, topic: Topic) -> Reply {
    let names = call.rest(1);
    if names.is_empty() {
        return Reply::Several(call.engine.unsubscribe_from_all(call.client, topic));
    }
    Reply::Several(names.iter().map(|name| call.engine.unsubscribe(call.client, topic, name)).collect())
}

pub(crate) fn publish(call: &mut Call<'_>) -> Outcome {
    // Nothing changes, but subscribers of the replica are to hear of it.
    call.replicate(call.args.to_vec());
    Ok(Reply::count(call.engine.publish(&call.args[1], &call.args[2])))
}

pub(crate) fn spublish(call: &mut Call<'_>) -> Outcome {
    call.replicate(call.args.to_vec());
    Ok(Reply::count(call.engine.publish_to_shard(&call.args[1], &call.args[2])))
}

pub(crate) fn pubsub_channels(call: &mut Call<'_>) -> Outcome {
    names(call, Topic::Channel)
}

pub(crate) fn pubsub_shardchannels(call: &mut Call<'_>) -> Outcome {
    names(call, Topic::Shard)
}

fn names(call: &Call<'_>, topic: Topic) -> Outcome {
    let pattern = match call.rest(2) {
        [] => None,
        [pattern] => Some(pattern),
        _ => return Err(CmdError::wrong_subcommand(call.args)),
    };
    let names = call.engine.pubsub.names(topic);
    let matching = names.filter(|name| pattern.is_none_or(|pattern| glob::matches(pattern, name)));
    Ok(Reply::bulks(matching.cloned()))
}

pub(crate) fn pubsub_numsub(call: &mut Call<'_>) -> Outcome {
    Ok(counts(call, Topic::Channel))
}

pub(crate) fn pubsub_shardnumsub(call: &mut Call<'_>) -> Outcome {
    Ok(counts(call, Topic::Shard))
}

fn counts(call: &Call<'_>, topic: Topic) -> Reply {
    let count = |name| Reply::count(call.engine.pubsub.subscribers(topic, name));
    Reply::Array(call.rest(2).iter().flat_map(|name| [Reply::Bulk(name.clone()), count(name)]).collect())
}

pub(crate) fn pubsub_numpat(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::count(call.engine.pubsub.len(Topic::Pattern)))
}

pub(crate) fn pubsub_help(_: &mut Call<'_>) -> Outcome {
    super::help_reply(help::PUBSUB)
}
