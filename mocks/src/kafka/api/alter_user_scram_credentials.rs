//! AlterUserScramCredentials (51): sets and deletes credentials of users.
//!
//! Behaviour: one change per user and request; each user by itself succeeds or is refused.
//! Versions: 0.
//! Not supported: –

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use kafka_protocol::messages::{AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse};

use super::{Answer, Described, first_error, message};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::controller::Refused;
use crate::kafka::scram::{self, ScramCredential};
use crate::kafka::wire::text;

/// A user's change: of which mechanism, to what; none deletes.
type Change = (i8, Option<ScramCredential>);

pub(super) fn describe(_: &AlterUserScramCredentialsRequest, _: &Cluster, _: i32) -> Described {
    Described::default()
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: AlterUserScramCredentialsRequest,
) -> Answer<AlterUserScramCredentialsResponse> {
    let mut users: BTreeMap<String, Vec<Change>> = BTreeMap::new();
    for deletion in &request.deletions {
        users.entry(deletion.name.to_string()).or_default().push((deletion.mechanism, None));
    }
    for upsertion in request.upsertions {
        let credential = ScramCredential {
            iterations: upsertion.iterations,
            salt: upsertion.salt,
            salted_password: upsertion.salted_password,
        };
        users.entry(upsertion.name.to_string()).or_default().push((upsertion.mechanism, Some(credential)));
    }
    let mut results = Vec::new();
    for (user, changes) in users {
        let (code, why) = match call.faults.before("", None) {
            Some(code) => (code, String::new()),
            None => match alter(cluster, &user, changes) {
                Ok(()) => (call.faults.after("", None).unwrap_or(0), String::new()),
                Err((error, why)) => (error.code(), why),
            },
        };
        let result = AlterUserScramCredentialsResult::default().with_user(text(&user));
        results.push(result.with_error_code(code).with_error_message(message(&why)));
    }
    Answer::Now(AlterUserScramCredentialsResponse::default().with_results(results))
}

pub(super) fn outcome(answer: &AlterUserScramCredentialsResponse) -> i16 {
    first_error(answer.results.iter().map(|result| result.error_code))
}

fn alter(cluster: &mut Cluster, user: &str, mut changes: Vec<Change>) -> Result<(), Refused> {
    let Some((mechanism, credential)) = changes.pop() else { return Ok(()) };
    if !changes.is_empty() {
        let twice = "A user credential cannot be altered twice in the same request".to_owned();
        return Err((ResponseError::DuplicateResource, twice));
    }
    scram::check(user, mechanism)?;
    let key = (user.to_owned(), mechanism);
    match &credential {
        Some(credential) => scram::check_iterations(credential.iterations)?,
        None if !cluster.truth.scram.contains_key(&key) => {
            let none = "Attempt to delete a user credential that does not exist".to_owned();
            return Err((ResponseError::ResourceNotFound, none));
        }
        None => {}
    }
    cluster.change(|image| {
        let scram = Arc::make_mut(&mut image.scram);
        match credential {
            Some(credential) => scram.insert(key, credential),
            None => scram.remove(&key),
        };
    });
    Ok(())
}
