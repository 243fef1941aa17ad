//! AlterClientQuotas (49): sets and takes away limits of users, clients and addresses.
//!
//! Behaviour: each entity whole or not at all; checked only, if that is asked. An entity twice in one request
//! counts as its last entry, as in Kafka.
//! Versions: 0-1.
//! Not supported: an address by a name that has to be resolved.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::alter_client_quotas_request::{EntryData, OpData};
use kafka_protocol::messages::alter_client_quotas_response as answer;
use kafka_protocol::messages::{AlterClientQuotasRequest, AlterClientQuotasResponse};

use super::{Answer, Described, first_error, message};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::controller::Refused;
use crate::kafka::quota::{CLIENT_ID, Entity, IP, USER};

pub(super) fn describe(_: &AlterClientQuotasRequest, _: &Cluster, _: i32) -> Described {
    Described::default()
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: AlterClientQuotasRequest,
) -> Answer<AlterClientQuotasResponse> {
    let mut entries = Vec::new();
    for entry in &request.entries {
        let (code, why) = match call.faults.before("", None) {
            Some(code) => (code, String::new()),
            None => match alter(cluster, entry, request.validate_only) {
                Ok(()) => (call.faults.after("", None).unwrap_or(0), String::new()),
                Err((error, why)) => (error.code(), why),
            },
        };
        let entity = |part: &kafka_protocol::messages::alter_client_quotas_request::EntityData| {
            answer::EntityData::default()
                .with_entity_type(part.entity_type.clone())
                .with_entity_name(part.entity_name.clone())
        };
        entries.push(
            answer::EntryData::default()
                .with_error_code(code)
                .with_error_message(message(&why))
                .with_entity(entry.entity.iter().map(entity).collect()),
        );
    }
    Answer::Now(AlterClientQuotasResponse::default().with_entries(entries))
}

pub(super) fn outcome(answer: &AlterClientQuotasResponse) -> i16 {
    first_error(answer.entries.iter().map(|entry| entry.error_code))
}

fn invalid(why: String) -> Refused {
    (ResponseError::InvalidRequest, why)
}

fn alter(cluster: &mut Cluster, entry: &EntryData, validate_only: bool) -> Result<(), Refused> {
    let parts = entry.entity.iter();
    let entity: Entity = parts
        .map(|part| (part.entity_type.to_string(), part.entity_name.as_ref().map(ToString::to_string)))
        .collect();
    check_entity(&entity)?;
    let mut changes: BTreeMap<String, Option<f64>> = BTreeMap::new();
    for op in &entry.ops {
        let value = (!op.remove).then_some(op.value);
        if changes.insert(op.key.to_string(), value).is_some() {
            let name = |(kind, name): (&String, &Option<String>)| {
                format!("{kind}={}", name.as_deref().unwrap_or("null"))
            };
            let parts: Vec<String> = entity.iter().map(name).collect();
            let shown = format!("ClientQuotaEntity(entries={{{}}})", parts.join(", "));
            return Err(invalid(format!("Ignoring duplicate entity {shown}")));
        }
        check_limit(op, entity.contains_key(IP))?;
    }
    if validate_only {
        return Ok(());
    }
    cluster.change(|image| {
        let quotas = Arc::make_mut(&mut image.quotas);
        let limits = quotas.entry(entity.clone()).or_default();
        for (key, value) in changes {
            match value {
                Some(value) => limits.insert(key, value),
                None => limits.remove(&key),
            };
        }
        if limits.is_empty() {
            quotas.remove(&entity);
        }
    });
    Ok(())
}

fn check_entity(entity: &Entity) -> Result<(), Refused> {
    if entity.is_empty() {
        return Err(invalid("Invalid empty client quota entity".to_owned()));
    }
    for (kind, name) in entity {
        if ![USER, CLIENT_ID, IP].contains(&kind.as_str()) {
            return Err(invalid(format!("Unhandled client quota entity type: {kind}")));
        }
        if name.as_deref() == Some("") {
            return Err(invalid(format!("Empty {kind} not supported")));
        }
    }
    match entity.get(IP) {
        // The words run together in Kafka's text, too.
        Some(_) if entity.len() > 1 => Err(invalid(
            "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId"
                .to_owned(),
        )),
        Some(Some(name)) if name.parse::<std::net::IpAddr>().is_err() && name != "localhost" => {
            Err(invalid(format!("{name} is not a valid IP or resolvable host.")))
        }
        _ => Ok(()),
    }
}

fn check_limit(op: &OpData, of_address: bool) -> Result<(), Refused> {
    if op.remove {
        return Ok(());
    }
    let key = op.key.as_str();
    let most = match key {
        "connection_creation_rate" if of_address => Some((f64::from(i32::MAX), "an INT")),
        #[expect(clippy::cast_precision_loss, reason = "Kafka compares with the nearest double, too")]
        "producer_byte_rate" | "consumer_byte_rate" if !of_address => Some((i64::MAX as f64, "a LONG")),
        "request_percentage" | "controller_mutation_rate" if !of_address => None,
        _ => return Err(invalid(format!("Invalid configuration key {key}"))),
    };
    // Not a number is none, either.
    if op.value.is_nan() || op.value <= 0.0 {
        return Err(invalid(format!("Quota {key} must be greater than 0")));
    }
    match most {
        Some((most, kind)) if op.value > most => {
            Err(invalid(format!("Proposed value for {key} is too large for {kind}.")))
        }
        Some(_) if (op.value % 1.0).abs() > 1e-6 => {
            Err(invalid(format!("{key} cannot be a fractional value.")))
        }
        _ => Ok(()),
    }
}
