//! DescribeConfigs (32): settings of topics, brokers, brokers' loggers, groups and metrics subscriptions.
//!
//! Behaviour: every setting with its value in force and where that comes from, as the asked broker knows it;
//! or the settings that were asked for by name. Of all brokers together, only what was set on all of them.
//! Passwords, and settings Kafka does not know, are told without a value.
//! Versions: 1-4.
//! Not supported: documentation texts (told as null); a broker has one logger, `root`.

use std::collections::BTreeSet;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::config::alter::ROOT_LOGGER;
use crate::kafka::config::levels::{Levels, Source};
use crate::kafka::config::setting::{self, Setting, Update};
use crate::kafka::config::{self, Kind, Values, group, topic};
use crate::kafka::controller::{Refused, check_name};
use crate::kafka::view::MetadataView;
use crate::kafka::wire::text;

const MALFORMED: &str = "This most likely occurs because of a request being malformed by the client library or \
    the message was sent to an incompatible broker. See the broker logs for more details.";
/// Where the level of a logger comes from.
const FROM_LOGGER: i8 = 6;

pub(super) fn describe(request: &DescribeConfigsRequest, _: &Cluster, _: i32) -> Described {
    let topics = request.resources.iter().filter(|resource| resource.resource_type == Kind::Topic as i8);
    Described::topics(topics.map(|resource| resource.resource_name.to_string()))
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: DescribeConfigsRequest,
) -> Answer<DescribeConfigsResponse> {
    let view = cluster.view_of(call.node);
    // One kind that does not exist spoils the whole request.
    let malformed = request.resources.iter().any(|resource| Kind::of(resource.resource_type).is_none());
    let of = |resource: &DescribeConfigsResource| {
        let answer = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        if let Some(code) = call.faults.either(&resource.resource_name, None) {
            return answer.with_error_code(code).with_error_message(Some(text("")));
        }
        let told = match malformed {
            true => Err((ResponseError::InvalidRequest, MALFORMED.to_owned())),
            false => told(cluster, call.node, &view, resource),
        };
        match told {
            Ok(mut configs) => {
                if !request.include_synonyms {
                    configs.iter_mut().for_each(|config| config.synonyms.clear());
                }
                answer.with_configs(configs)
            }
            Err((error, why)) => answer.with_error_code(error.code()).with_error_message(Some(text(&why))),
        }
    };
    let results = request.resources.iter().map(of).collect();
    Answer::Now(DescribeConfigsResponse::default().with_results(results))
}

pub(super) fn outcome(answer: &DescribeConfigsResponse) -> i16 {
    first_error(answer.results.iter().map(|result| result.error_code))
}

fn told(
    cluster: &Cluster,
    node: i32,
    view: &MetadataView,
    resource: &DescribeConfigsResource,
) -> Result<Vec<DescribeConfigsResourceResult>, Refused> {
    let invalid = |why: String| (ResponseError::InvalidRequest, why);
    let name = resource.resource_name.as_str();
    let levels = cluster.levels_of(node);
    let set =
        |kind| cluster.image_of(node).configs.get(&(kind, name.to_owned())).cloned().unwrap_or_default();
    let kind = Kind::of(resource.resource_type).ok_or_else(|| invalid(MALFORMED.to_owned()))?;
    let all = match kind {
        Kind::Topic => {
            check_name(name).map_err(|why| (ResponseError::InvalidTopicException, why))?;
            let known = view.topics.get(name);
            topic_settings(
                &known.ok_or((ResponseError::UnknownTopicOrPartition, String::new()))?.configs,
                &levels,
            )
        }
        Kind::Broker if name.is_empty() => all_brokers(&levels),
        Kind::Broker => {
            check_node(name, node, "expected {} or empty string, but")?;
            one_broker(cluster, node, view)
        }
        Kind::BrokerLogger if name.is_empty() => {
            return Err(invalid("Broker id must not be empty".to_owned()));
        }
        Kind::BrokerLogger => {
            check_node(name, node, "expected {} but")?;
            let level = set(kind).get(ROOT_LOGGER).cloned().unwrap_or_else(|| "INFO".to_owned());
            let logger = DescribeConfigsResourceResult::default()
                .with_name(text(ROOT_LOGGER))
                .with_documentation(None);
            vec![logger.with_value(Some(text(&level))).with_config_source(FROM_LOGGER)]
        }
        Kind::ClientMetrics if name.is_empty() => {
            return Err(invalid("Client metrics subscription name must not be empty".to_owned()));
        }
        Kind::ClientMetrics => subscription_settings(&set(kind)),
        Kind::Group if name.is_empty() => return Err(invalid("Group name must not be empty".to_owned())),
        Kind::Group => group_settings(&set(kind), &levels),
    };
    let keys = resource.configuration_keys.as_ref().filter(|keys| !keys.is_empty());
    let wanted = |config: &DescribeConfigsResourceResult| keys.is_none_or(|keys| keys.contains(&config.name));
    Ok(all.into_iter().filter(wanted).collect())
}

/// The broker that is asked must be the one that is meant.
fn check_node(name: &str, node: i32, expected: &str) -> Result<(), Refused> {
    let invalid = |why: String| (ResponseError::InvalidRequest, why);
    let number = || invalid(format!("Broker id must be an integer, but it is: {name}"));
    if name.parse::<i32>().map_err(|_| number())? == node {
        return Ok(());
    }
    let expected = expected.replace("{}", &node.to_string());
    Err(invalid(format!("Unexpected broker id, {expected} received {name}")))
}

/// Every setting of a topic that sets these, in a cluster of these levels.
pub(super) fn topic_settings(set: &Values, levels: &Levels<'_>) -> Vec<DescribeConfigsResourceResult> {
    let shown = |setting: &&Setting| setting.update != Update::Internal || set.contains_key(setting.name);
    let one = |setting: &Setting| {
        let value = topic::effective(set, levels, setting.name);
        let inherited =
            topic::synonym(setting.name).map(|synonym| levels.synonyms(synonym)).unwrap_or_default();
        let own = set.contains_key(setting.name).then_some((setting.name, &*value, Source::Topic));
        result(setting, Some(&value), own.into_iter().chain(inherited))
    };
    topic::SETTINGS.iter().filter(shown).map(one).collect()
}

fn group_settings(set: &Values, levels: &Levels<'_>) -> Vec<DescribeConfigsResourceResult> {
    let one = |setting: &Setting| {
        let synonym = group::synonym(setting.name);
        let inherited = match &synonym {
            Some(synonym) => levels.synonyms(synonym),
            None => setting.default.map(|value| (setting.name, value, Source::Default)).into_iter().collect(),
        };
        let broker = synonym.as_deref().and_then(|synonym| levels.value(synonym));
        let value = set.get(setting.name).map(String::as_str).or(broker).or(setting.default);
        let own = set.get(setting.name).map(|value| (setting.name, value.as_str(), Source::Group));
        result(setting, value, own.into_iter().chain(inherited))
    };
    group::GROUP.iter().map(one).collect()
}

fn subscription_settings(set: &Values) -> Vec<DescribeConfigsResourceResult> {
    let one = |setting: &Setting| {
        let own = set.get(setting.name).map(String::as_str);
        let synonym = own.map(|value| (setting.name, value, Source::ClientMetrics));
        result(setting, own.or(setting.default), synonym)
    };
    group::CLIENT_METRICS.iter().map(one).collect()
}

/// What was set on all brokers.
fn all_brokers(levels: &Levels<'_>) -> Vec<DescribeConfigsResourceResult> {
    let one = |(name, value): (&String, &String)| {
        let mut synonyms = levels.synonyms(name);
        synonyms.retain(|(_, _, source)| *source == Source::AllBrokers);
        match config::broker_setting(name) {
            Some(setting) => broker_result(setting, Some(value), synonyms),
            None => unknown_result(name, &synonyms),
        }
    };
    levels.all.into_iter().flatten().map(one).collect()
}

fn one_broker(cluster: &Cluster, node: i32, view: &MetadataView) -> Vec<DescribeConfigsResourceResult> {
    let image = cluster.image_of(node);
    // What a server's properties file must have, this broker has, too.
    let mut start = cluster.options.broker_configs.clone();
    let mut fill = |name: &str, value: String| {
        start.entry(name.to_owned()).or_insert(value);
    };
    fill("broker.id", node.to_string());
    fill("node.id", node.to_string());
    fill("process.roles", "broker,controller".to_owned());
    fill("controller.listener.names", "CONTROLLER".to_owned());
    fill("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned());
    if let Some(broker) = view.brokers.get(&node) {
        let listener = format!("PLAINTEXT://{}:{}", broker.host, broker.port);
        fill("advertised.listeners", listener.clone());
        fill("listeners", listener);
    }
    let levels = Levels::of(&image.configs, &start, node);
    let set = |name: &str| levels.set(&[(name, ())]).is_some();
    let hidden = |setting: &Setting| matches!(setting.update, Update::Internal | Update::OnceSet);
    let known = config::broker_settings()
        .filter(|setting| !hidden(setting) || set(setting.name))
        .map(|setting| broker_result(setting, levels.value(setting.name), levels.synonyms(setting.name)));
    let changed = levels.own.into_iter().chain(levels.all).flat_map(Values::keys);
    let unknown: BTreeSet<&String> = changed.filter(|name| config::broker_setting(name).is_none()).collect();
    known.chain(unknown.into_iter().map(|name| unknown_result(name, &levels.synonyms(name)))).collect()
}

type Synonym<'a> = (&'a str, &'a str, Source);

fn broker_result<'a>(
    setting: &Setting,
    value: Option<&str>,
    synonyms: impl IntoIterator<Item = Synonym<'a>>,
) -> DescribeConfigsResourceResult {
    let fixed = matches!(setting.update, Update::Fixed | Update::Internal);
    result(setting, value, synonyms).with_read_only(fixed)
}

/// A setting Kafka does not know may be a secret of a plugin.
fn unknown_result(name: &str, synonyms: &[Synonym<'_>]) -> DescribeConfigsResourceResult {
    let secret = |(name, _, source): &Synonym<'_>| synonym(name, None, *source);
    DescribeConfigsResourceResult::default()
        .with_name(text(name))
        .with_value(None)
        .with_config_source(synonyms.first().map_or(Source::Default, |(_, _, source)| *source) as i8)
        .with_is_sensitive(true)
        .with_read_only(true)
        .with_documentation(None)
        .with_synonyms(synonyms.iter().map(secret).collect())
}

fn synonym(name: &str, value: Option<&str>, source: Source) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym::default()
        .with_name(text(name))
        .with_value(value.map(text))
        .with_source(source as i8)
}

fn result<'a>(
    setting: &Setting,
    value: Option<&str>,
    synonyms: impl IntoIterator<Item = Synonym<'a>>,
) -> DescribeConfigsResourceResult {
    let secret = setting.kind == setting::Kind::Password;
    let told = |(name, value, source): Synonym<'_>| synonym(name, Some(value).filter(|_| !secret), source);
    let synonyms: Vec<DescribeConfigsSynonym> = synonyms.into_iter().map(told).collect();
    DescribeConfigsResourceResult::default()
        .with_name(text(setting.name))
        .with_value(value.filter(|_| !secret).map(text))
        .with_config_source(synonyms.first().map_or(Source::Default as i8, |synonym| synonym.source))
        .with_is_sensitive(secret)
        .with_config_type(setting.kind as i8)
        .with_documentation(None)
        .with_synonyms(synonyms)
}
