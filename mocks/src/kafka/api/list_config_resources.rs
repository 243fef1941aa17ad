//! ListConfigResources (74): what has settings.
//!
//! Behaviour: groups and metrics subscriptions that were configured, every broker and its loggers, every
//! topic; the kinds that were asked for. Version 0 asks for subscriptions only.
//! Versions: 0-1.
//! Not supported: –

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_config_resources_response::ConfigResource;
use kafka_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};

use super::{Answer, Described};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::config::Kind;
use crate::kafka::wire::text;

pub(super) fn describe(_: &ListConfigResourcesRequest, _: &Cluster, _: i32) -> Described {
    Described::default()
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: ListConfigResourcesRequest,
) -> Answer<ListConfigResourcesResponse> {
    let all = [Kind::Group, Kind::ClientMetrics, Kind::BrokerLogger, Kind::Broker, Kind::Topic];
    let kinds = if call.version() == 0 { vec![Kind::ClientMetrics as i8] } else { request.resource_types };
    let code = match call.faults.either("", None) {
        Some(code) => code,
        None if kinds.iter().any(|kind| Kind::of(*kind).is_none()) => {
            ResponseError::UnsupportedVersion.code()
        }
        None => 0,
    };
    let answer = ListConfigResourcesResponse::default().with_error_code(code);
    if code != 0 {
        return Answer::Now(answer);
    }
    let wanted = all.into_iter().filter(|kind| kinds.is_empty() || kinds.contains(&(*kind as i8)));
    let resource = |kind: Kind, name: &str| {
        ConfigResource::default().with_resource_name(text(name)).with_resource_type(kind as i8)
    };
    let view = cluster.view_of(call.node);
    let image = cluster.image_of(call.node);
    let mut resources = Vec::new();
    for kind in wanted {
        let names: Vec<String> = match kind {
            Kind::Topic => view.topics.keys().cloned().collect(),
            Kind::Broker | Kind::BrokerLogger => view.brokers.keys().map(ToString::to_string).collect(),
            Kind::Group | Kind::ClientMetrics => {
                image.configs.keys().filter(|(of, _)| *of == kind).map(|(_, name)| name.clone()).collect()
            }
        };
        resources.extend(names.iter().map(|name| resource(kind, name)));
    }
    Answer::Now(answer.with_config_resources(resources))
}

pub(super) fn outcome(answer: &ListConfigResourcesResponse) -> i16 {
    answer.error_code
}
