//! DescribeUserScramCredentials (50): which users have which credentials.
//!
//! Behaviour: mechanisms and rounds of the users named, or of all; never salts or keys. A user named twice is
//! refused.
//! Versions: 0.
//! Not supported: –

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_user_scram_credentials_response::{
    CredentialInfo, DescribeUserScramCredentialsResult,
};
use kafka_protocol::messages::{DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse};

use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::wire::text;

pub(super) fn describe(_: &DescribeUserScramCredentialsRequest, _: &Cluster, _: i32) -> Described {
    Described::default()
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: DescribeUserScramCredentialsRequest,
) -> Answer<DescribeUserScramCredentialsResponse> {
    let answer = DescribeUserScramCredentialsResponse::default().with_error_message(Some(text("")));
    if let Some(code) = call.faults.either("", None) {
        return Answer::Now(answer.with_error_code(code));
    }
    let image = cluster.image_of(call.node);
    let mut named: BTreeMap<String, usize> = BTreeMap::new();
    match request.users.filter(|users| !users.is_empty()) {
        Some(users) => users.iter().for_each(|user| *named.entry(user.name.to_string()).or_default() += 1),
        None => named.extend(image.scram.keys().map(|(user, _)| (user.clone(), 1))),
    }
    let told = |(user, count): (String, usize)| {
        let known = image.scram.range((user.clone(), i8::MIN)..=(user.clone(), i8::MAX));
        let infos: Vec<CredentialInfo> = known
            .map(|((_, mechanism), credential)| {
                CredentialInfo::default().with_mechanism(*mechanism).with_iterations(credential.iterations)
            })
            .collect();
        let (code, why) = if count > 1 {
            let twice = "Cannot describe SCRAM credentials for the same user twice in a single request: ";
            (ResponseError::DuplicateResource.code(), format!("{twice}{user}"))
        } else if infos.is_empty() {
            let none = "Attempt to describe a user credential that does not exist: ";
            (ResponseError::ResourceNotFound.code(), format!("{none}{user}"))
        } else {
            (0, String::new())
        };
        DescribeUserScramCredentialsResult::default()
            .with_user(text(&user))
            .with_error_code(code)
            .with_error_message(Some(text(&why)))
            .with_credential_infos(if code == 0 { infos } else { Vec::new() })
    };
    Answer::Now(answer.with_results(named.into_iter().map(told).collect()))
}

pub(super) fn outcome(answer: &DescribeUserScramCredentialsResponse) -> i16 {
    first_error(
        std::iter::once(answer.error_code).chain(answer.results.iter().map(|result| result.error_code)),
    )
}
