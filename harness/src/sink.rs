//! The sink: an HTTP service outside the system under test that carries effects out and writes down what it
//! did. Checkers believe it, and nothing the system says about itself.
//!
//! It behaves as a payment provider does: a request under an idempotency key it has seen is answered with the
//! first answer and not carried out again; without a key every request is carried out. What it has carried out
//! outlives its process. It knows nothing of orders: which field names the business key is configuration. For
//! clients that hold locks it does what a resource must do: it refuses a fence lower than one it has seen.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use squall_mocks::net::Listener;
use squall_mocks::rule::{Act, Matcher, Rules};
use tokio::time::sleep;

use crate::history::{Effect, Record, Recorder, Text};
use crate::plan::counted_as;

/// What a sink counts: effects carried out, requests it recognised as repeated, and those of stale lock holders.
pub const SIGHTINGS: [&str; 3] = ["effect", "effect-repeated", "fenced-off"];

/// The largest request read.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// What a sink does, from its `config` in the scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SinkConfig {
    /// The effect's name in the history, like `card.charged`.
    pub effect: String,
    /// The field of the request's body that names what the effect is about, like `order_id`.
    pub key: String,
    /// A field of the body that must be a positive number; a request without it is refused with 422.
    #[serde(default)]
    pub positive: Option<String>,
    /// A field of the body that names one of several steps: its text is appended to the effect's name, behind a
    /// dot. A request without it is refused with 400.
    #[serde(default)]
    pub step: Option<String>,
    /// A field of the body that names what the effect changes, like `account`.
    #[serde(default)]
    pub resource: Option<String>,
    /// A field of the body that names the critical section the request is part of.
    #[serde(default)]
    pub section: Option<String>,
    /// A field of the body with the fence of the lock the request is made under. A request with a lower one than
    /// its resource has seen is refused with 409.
    #[serde(default)]
    pub fence: Option<String>,
    /// How long carrying an effect out takes.
    #[serde(default, with = "crate::fault::unit::duration")]
    pub latency: Duration,
}

/// An HTTP sink. Clones are handles to the same one.
#[derive(Clone)]
pub struct HttpSink {
    shared: Arc<Shared>,
}

struct Shared {
    name: Text,
    config: SinkConfig,
    recorder: Recorder,
    rules: Rules<EveryRequest>,
    carried_out: Mutex<CarriedOut>,
}

#[derive(Default)]
struct CarriedOut {
    answers: BTreeMap<String, Bytes>,
    count: u64,
    /// The highest fence of each resource.
    fences: BTreeMap<Text, u64>,
}

/// What a request asks for.
struct Asked {
    effect: Effect,
    fence: Option<u64>,
}

/// Rules of a sink concern every request to it.
#[derive(Clone, Copy, Debug)]
pub struct EveryRequest;

impl Matcher for EveryRequest {
    type Request<'a> = ();

    fn matches(&self, (): &Self::Request<'_>) -> bool {
        true
    }
}

impl HttpSink {
    /// A sink on the host `name` that has carried nothing out yet. `seed` decides its rules' draws.
    #[must_use]
    pub fn new(name: &str, config: SinkConfig, recorder: Recorder, seed: u64) -> Self {
        let rules = Rules::new(seed);
        let carried_out = Mutex::default();
        Self { shared: Arc::new(Shared { name: name.into(), config, recorder, rules, carried_out }) }
    }

    /// The fault rules. `Act::Error` takes a status, like `503`.
    #[must_use]
    pub fn rules(&self) -> &Rules<EveryRequest> {
        &self.shared.rules
    }

    /// Serves until the listener fails or the future is dropped.
    pub async fn serve(&self, mut listener: impl Listener) {
        while let Ok((stream, _)) = listener.accept().await {
            let sink = self.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| sink.clone().answer(request));
                let server = hyper::server::conn::http1::Builder::new()
                    .auto_date_header(false)
                    .serve_connection(TokioIo::new(stream), service);
                // A connection that breaks is the client's to notice.
                let _ = server.await;
            });
        }
    }

    /// Answers a request as the rules say. An error makes hyper close the connection without an answer.
    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Dropped> {
        let Some((name, act)) = self.shared.rules.decide(&()) else { return Ok(self.handle(request).await) };
        self.shared.recorder.saw(&format!("{}.hit", counted_as(&name)));
        match act {
            Act::Error(status) => {
                let status = status.parse().unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
                Ok(respond(status, &json!({ "error": "injected by a fault rule" })))
            }
            Act::Delay(by) => {
                sleep(by).await;
                Ok(self.handle(request).await)
            }
            Act::DropAfter => {
                self.handle(request).await;
                Err(Dropped)
            }
            _ => Err(Dropped),
        }
    }

    async fn handle(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::POST {
            return respond(StatusCode::METHOD_NOT_ALLOWED, &json!({ "error": "expected POST" }));
        }
        let token = request.headers().get("idempotency-key").and_then(|value| value.to_str().ok());
        let token = token.unwrap_or_default().to_owned();
        let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await;
        let body = body.ok().and_then(|body| serde_json::from_slice::<Value>(&body.to_bytes()).ok());
        let config = &self.shared.config;
        let body = body.unwrap_or_default();
        let asked = match self.asked(&body, &token) {
            Ok(asked) => asked,
            Err(field) => {
                let text = format!("expected a JSON object with the text {field:?}");
                return respond(StatusCode::BAD_REQUEST, &json!({ "error": text }));
            }
        };
        let amount = |field: &String| body.get(field).and_then(Value::as_f64);
        if let Some(field) = config.positive.as_ref().filter(|field| amount(field).is_none_or(|n| n <= 0.0)) {
            let text = format!("expected {field:?} to be a number above 0");
            return respond(StatusCode::UNPROCESSABLE_ENTITY, &json!({ "error": text }));
        }
        sleep(config.latency).await;
        self.carry_out(asked)
    }

    /// What the body asks for; the name of the field that is missing if it cannot be told.
    fn asked<'a>(&'a self, body: &Value, token: &str) -> Result<Asked, &'a str> {
        let config = &self.shared.config;
        let text = |field: &str| body.get(field).and_then(Value::as_str).map(str::to_owned);
        let optional = |field: &Option<String>| field.as_deref().and_then(text).unwrap_or_default().into();
        let name = match &config.step {
            Some(field) => format!("{}.{}", config.effect, text(field).ok_or(field.as_str())?),
            None => config.effect.clone(),
        };
        let effect = Effect {
            name: name.into(),
            business_key: text(&config.key).ok_or(config.key.as_str())?.into(),
            token: token.into(),
            resource: optional(&config.resource),
            section: optional(&config.section),
            committed: false,
        };
        let fence = config.fence.as_ref().and_then(|field| body.get(field)).and_then(Value::as_u64);
        Ok(Asked { effect, fence })
    }

    fn carry_out(&self, asked: Asked) -> Response<Full<Bytes>> {
        let Asked { effect, fence } = asked;
        let (shared, token) = (&self.shared, effect.token.to_string());
        let mut carried_out = self.lock();
        if let Some(fence) = fence {
            let highest = carried_out.fences.entry(Arc::clone(&effect.resource)).or_default();
            if fence < *highest {
                let text = format!("the fence {fence} is stale, {highest} was seen; take the lock again");
                drop(carried_out);
                shared.recorder.saw(SIGHTINGS[2]);
                shared.recorder.record(Arc::clone(&shared.name), Record::Effect(effect));
                return respond(StatusCode::CONFLICT, &json!({ "error": text }));
            }
            *highest = fence;
        }
        let known = carried_out.answers.get(&token).cloned();
        let committed = known.is_none();
        let answer = known.unwrap_or_else(|| {
            carried_out.count += 1;
            let id = format!("effect-{}", carried_out.count);
            Bytes::from(json!({ "id": id, "key": &*effect.business_key }).to_string())
        });
        if committed && !token.is_empty() {
            carried_out.answers.insert(token, answer.clone());
        }
        drop(carried_out);
        shared.recorder.saw(SIGHTINGS[usize::from(!committed)]);
        shared.recorder.record(Arc::clone(&shared.name), Record::Effect(Effect { committed, ..effect }));
        json_response(StatusCode::OK, answer)
    }

    fn lock(&self) -> MutexGuard<'_, CarriedOut> {
        self.shared.carried_out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection is closed instead of an answer.
#[derive(Debug, thiserror::Error)]
#[error("closed by a fault rule")]
struct Dropped;

fn respond(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    json_response(status, Bytes::from(body.to_string()))
}

fn json_response(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ledger, and what it answers to requests in turn.
    fn statuses(requests: &[Value]) -> (Vec<u16>, Vec<(String, bool)>) {
        let config = json!({
            "effect": "ledger", "step": "step", "key": "id", "resource": "account", "section": "holder", "fence": "fence",
        });
        let config = SinkConfig::deserialize(config).expect("a configuration");
        let recorder = Recorder::new(|| Duration::ZERO);
        let sink = HttpSink::new("ledger", config, recorder.clone(), 1);
        let answer = |(n, body): (usize, &Value)| {
            let token = body["token"].as_str().map_or_else(|| n.to_string(), str::to_owned);
            sink.asked(body, &token).map_or(400, |asked| sink.carry_out(asked).status().as_u16())
        };
        let statuses = requests.iter().enumerate().map(answer).collect();
        let effect = |entry: &crate::history::Entry| match &entry.what {
            Record::Effect(effect) => (effect.name.to_string(), effect.committed),
            other => panic!("expected an effect, found {other}"),
        };
        (statuses, recorder.finish().entries().iter().map(effect).collect())
    }

    fn entry(account: &str, step: &str, fence: u64) -> Value {
        json!({ "id": "t-1", "account": account, "step": step, "holder": "h", "fence": fence })
    }

    #[test]
    fn a_stale_fence_is_refused_and_changes_nothing() {
        let (statuses, effects) = statuses(&[
            entry("a", "debited", 2),
            entry("a", "credited", 2),
            entry("a", "debited", 1),
            entry("b", "debited", 1),
            entry("a", "debited", 3),
        ]);
        assert_eq!(statuses, [200, 200, 409, 200, 200]);
        let committed: Vec<bool> = effects.iter().map(|(_, committed)| *committed).collect();
        assert_eq!(committed, [true, true, false, true, true]);
        assert_eq!(effects[1].0, "ledger.credited");
    }

    #[test]
    fn a_repetition_is_answered_as_before_and_not_carried_out_again() {
        let mut again = entry("a", "debited", 2);
        again["token"] = "same".into();
        let (statuses, effects) = statuses(&[again.clone(), again]);
        assert_eq!(statuses, [200, 200]);
        assert_eq!(effects, [("ledger.debited".to_owned(), true), ("ledger.debited".to_owned(), false)]);
    }

    #[test]
    fn a_request_that_does_not_say_what_it_is_about_is_refused() {
        let without = |field: &str| {
            let mut body = entry("a", "debited", 1);
            body.as_object_mut().expect("an object").remove(field);
            body
        };
        let (statuses, effects) = statuses(&[without("id"), without("step"), json!([])]);
        assert_eq!((statuses, effects), (vec![400, 400, 400], vec![]));
    }
}
