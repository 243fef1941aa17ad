//! DescribeCluster (60): brokers and controller, as the asked broker knows them.
//!
//! Behaviour: the broker endpoint only.
//! Versions: 0-2.
//! Not supported: the controllers' endpoint (MISMATCHED_ENDPOINT_TYPE), fenced brokers.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{BrokerId, DescribeClusterRequest, DescribeClusterResponse};

use super::{ALL_OF_CLUSTER, Answer, Described};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::wire::text;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;
/// Kafka's words.
const WRONG_END: &str =
    "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER";

pub(super) fn describe(_: &DescribeClusterRequest, _: &Cluster, _: i32) -> Described {
    Described::default()
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: DescribeClusterRequest,
) -> Answer<DescribeClusterResponse> {
    let wrong_end = call.version() >= 1 && request.endpoint_type != BROKERS;
    if let Some(code) = call.faults.either("", None) {
        return Answer::Now(DescribeClusterResponse::default().with_error_code(code));
    }
    if wrong_end {
        let (error, reason) = match request.endpoint_type {
            CONTROLLERS => (ResponseError::MismatchedEndpointType, WRONG_END.to_owned()),
            other => (ResponseError::UnsupportedEndpointType, format!("Unsupported endpoint type {other}")),
        };
        let answer = DescribeClusterResponse::default().with_error_code(error.code());
        return Answer::Now(answer.with_error_message(Some(text(&reason))));
    }
    let view = cluster.view_of(call.node);
    let broker = |(id, broker): (&i32, &crate::kafka::view::BrokerView)| {
        DescribeClusterBroker::default()
            .with_broker_id(BrokerId(*id))
            .with_host(text(&broker.host))
            .with_port(broker.port)
    };
    Answer::Now(
        DescribeClusterResponse::default()
            .with_cluster_id(text(&cluster.cluster_id))
            .with_controller_id(BrokerId(view.controller))
            .with_cluster_authorized_operations(if request.include_cluster_authorized_operations {
                ALL_OF_CLUSTER
            } else {
                i32::MIN
            })
            .with_brokers(view.brokers.iter().map(broker).collect()),
    )
}

pub(super) fn outcome(answer: &DescribeClusterResponse) -> i16 {
    answer.error_code
}
