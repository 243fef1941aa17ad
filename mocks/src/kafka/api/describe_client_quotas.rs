//! DescribeClientQuotas (48): limits of users, clients and addresses.
//!
//! Behaviour: of the entities that have what each component of the filter asks for: a name, the default, or
//! any; and nothing else, if the filter is strict.
//! Versions: 0-1.
//! Not supported: –

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::messages::describe_client_quotas_response::{EntityData, EntryData, ValueData};
use kafka_protocol::messages::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};

use super::{Answer, Described};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::controller::Refused;
use crate::kafka::quota::{CLIENT_ID, Entity, IP, USER};
use crate::kafka::wire::text;

/// What a component asks of its kind: this name, the default, or any.
enum Wanted {
    Name(Option<String>),
    Any,
}

pub(super) fn describe(_: &DescribeClientQuotasRequest, _: &Cluster, _: i32) -> Described {
    Described::default()
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: DescribeClientQuotasRequest,
) -> Answer<DescribeClientQuotasResponse> {
    let answer = DescribeClientQuotasResponse::default();
    if let Some(code) = call.faults.either("", None) {
        return Answer::Now(answer.with_error_code(code).with_error_message(None).with_entries(None));
    }
    let filter = match filter(&request.components) {
        Ok(filter) => filter,
        Err((error, why)) => {
            let answer = answer.with_error_code(error.code()).with_error_message(Some(text(&why)));
            return Answer::Now(answer.with_entries(None));
        }
    };
    let matches = |entity: &Entity| {
        let fits = |(kind, wanted): (&String, &Wanted)| match (entity.get(kind), wanted) {
            (Some(_), Wanted::Any) => true,
            (Some(found), Wanted::Name(name)) => found == name,
            (None, _) => false,
        };
        filter.iter().all(fits) && (!request.strict || entity.len() == filter.len())
    };
    let image = cluster.image_of(call.node);
    let entries = image.quotas.iter().filter(|(entity, _)| matches(entity)).map(|(entity, values)| {
        let part = |(kind, name): (&String, &Option<String>)| {
            EntityData::default().with_entity_type(text(kind)).with_entity_name(name.as_deref().map(text))
        };
        let value =
            |(key, value): (&String, &f64)| ValueData::default().with_key(text(key)).with_value(*value);
        EntryData::default()
            .with_entity(entity.iter().map(part).collect())
            .with_values(values.iter().map(value).collect())
    });
    Answer::Now(answer.with_error_message(Some(text(""))).with_entries(Some(entries.collect())))
}

pub(super) fn outcome(answer: &DescribeClientQuotasResponse) -> i16 {
    answer.error_code
}

fn filter(components: &[ComponentData]) -> Result<BTreeMap<String, Wanted>, Refused> {
    let invalid = |why: &str| (ResponseError::InvalidRequest, why.to_owned());
    let mut filter = BTreeMap::new();
    for component in components {
        let kind = component.entity_type.to_string();
        if kind.is_empty() {
            return Err(invalid("Invalid empty entity type."));
        }
        if filter.contains_key(&kind) {
            return Err(invalid(&format!("Entity type {kind} cannot appear more than once in the filter.")));
        }
        if ![USER, CLIENT_ID, IP].contains(&kind.as_str()) {
            return Err((ResponseError::UnsupportedVersion, format!("Unsupported entity type {kind}")));
        }
        let name = component._match.as_ref().map(ToString::to_string);
        let also =
            |what: &str| invalid(&format!("Request specified {what}, but also specified a match string."));
        let wanted = match (component.match_type, name) {
            (0, Some(name)) => Wanted::Name(Some(name)),
            (0, None) => {
                return Err(invalid("Request specified MATCH_TYPE_EXACT, but set match string to null."));
            }
            (1, None) => Wanted::Name(None),
            (2, None) => Wanted::Any,
            (1, Some(_)) => return Err(also("MATCH_TYPE_DEFAULT")),
            (2, Some(_)) => return Err(also("MATCH_TYPE_SPECIFIED")),
            (other, _) => return Err(invalid(&format!("Unknown match type {other}"))),
        };
        filter.insert(kind, wanted);
    }
    if filter.contains_key(IP) && filter.len() > 1 {
        return Err(invalid(
            "Invalid entity filter component combination. IP filter component should not be used with user or \
             clientId filter component.",
        ));
    }
    Ok(filter)
}
