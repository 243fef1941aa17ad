//! `COMMAND LIST` with its filters, and `COMMAND GETKEYSANDFLAGS`.

use super::command::keys_of;
use crate::redis::engine::acl;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::table::Spec;
use crate::redis::glob;
use crate::redis::resp::Reply;

pub(crate) fn command_list(call: &mut Call<'_>) -> Outcome {
    let names = |keep: &dyn Fn(&Spec) -> bool| {
        let all = call.engine.commands().flat_map(|spec| std::iter::once(spec).chain(spec.children()));
        Ok(Reply::bulks(all.filter(|spec| keep(spec)).map(|spec| spec.name)))
    };
    match call.rest(2) {
        [] => names(&|_| true),
        [by, kind, _] if is(by, "filterby") && is(kind, "module") => Ok(Reply::Array(Vec::new())),
        [by, kind, name] if is(by, "filterby") && is(kind, "aclcat") => {
            let category = acl::category(name);
            Ok(Reply::bulks(category.into_iter().flat_map(acl::names_in)))
        }
        [by, kind, pattern] if is(by, "filterby") && is(kind, "pattern") => {
            names(&|spec| glob::matches_ignoring_case(pattern, spec.name.as_bytes()))
        }
        _ => Err(CmdError::SYNTAX),
    }
}

pub(crate) fn command_getkeysandflags(call: &mut Call<'_>) -> Outcome {
    let args = call.rest(2);
    let (spec, _) = keys_of(call, args)?;
    let uses = spec.key_uses(args).into_iter().map(|(at, flags)| {
        let flags = flags.split(' ').map(|flag| Reply::Status(flag.to_owned().into()));
        Reply::Array(vec![Reply::Bulk(args[at].clone()), Reply::Set(flags.collect())])
    });
    Ok(Reply::Array(uses.collect()))
}
