//! `LATENCY`: looking at what stalled the server.

use bytes::Bytes;

use super::help_admin as help;
use crate::redis::engine::call::{Call, Outcome};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::latency::{Histogram, Series};
use crate::redis::engine::table;
use crate::redis::resp::Reply;

pub(crate) fn latency_latest(call: &mut Call<'_>) -> Outcome {
    let line = |(event, series): (&&'static str, &Series)| {
        let last = series.samples.back();
        Reply::Array(vec![
            Reply::bulk(*event),
            Reply::Int(last.map_or(0, |sample| sample.at_s)),
            Reply::Int(last.map_or(0, |sample| sample.ms)),
            Reply::Int(series.longest_ms),
        ])
    };
    Ok(Reply::Array(call.engine.latency.events.iter().map(line).collect()))
}

fn series<'a>(call: &'a Call<'_>) -> Option<(&'static str, &'a Series)> {
    let name = std::str::from_utf8(&call.args[2]).ok()?;
    call.engine.latency.events.get_key_value(name).map(|(event, series)| (*event, series))
}

pub(crate) fn latency_history(call: &mut Call<'_>) -> Outcome {
    let Some((_, series)) = series(call) else { return Ok(Reply::Array(Vec::new())) };
    let samples = series.samples.iter();
    let sample = samples.map(|sample| Reply::Array(vec![Reply::Int(sample.at_s), Reply::Int(sample.ms)]));
    Ok(Reply::Array(sample.collect()))
}

pub(crate) fn latency_reset(call: &mut Call<'_>) -> Outcome {
    let events = &mut call.engine.latency.events;
    let before = events.len();
    if call.args.len() == 2 {
        events.clear();
    } else {
        events.retain(|event, _| !call.args[2..].iter().any(|name| name == event));
    }
    Ok(Reply::count(before - events.len()))
}

pub(crate) fn latency_graph(call: &mut Call<'_>) -> Outcome {
    let now_s = call.now_ms().div_euclid(1000);
    let Some((event, series)) = series(call) else {
        let event = String::from_utf8_lossy(&call.args[2]);
        return Err(CmdError::new(format!("ERR No samples available for event '{event}'")));
    };
    let (low, high) = series
        .samples
        .iter()
        .fold((i64::MAX, 0), |(low, high), sample| (low.min(sample.ms), high.max(sample.ms)));
    let columns: Vec<(i64, String)> =
        series.samples.iter().map(|sample| (sample.ms, age(now_s - sample.at_s))).collect();
    let longest = series.longest_ms;
    let text = format!(
        "{event} - high {high} ms, low {low} ms (all time high {longest} ms)\n{}\n{}",
        "-".repeat(COLUMNS),
        render(&columns, low, high)
    );
    Ok(verbatim(text))
}

const COLUMNS: usize = 80;
const ROWS: i64 = 4;

/// How long ago, as a label.
fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Columns of bars with their labels below, in blocks of a screen's width.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a drawing of four rows")]
fn render(columns: &[(i64, String)], low: i64, high: i64) -> String {
    const MARKS: [char; 3] = ['_', 'o', '#'];
    let steps = MARKS.len() as f64 * ROWS as f64;
    let range = (high - low) as f64;
    let mut text = String::new();
    for (number, block) in columns.chunks(COLUMNS).enumerate() {
        if number > 0 {
            text.push('\n');
        }
        let labels = block.iter().map(|(_, label)| label.len()).max().unwrap_or(0);
        for row in 0..ROWS {
            for (ms, _) in block {
                let relative = if range == 0.0 { 1.0 } else { (ms - low) as f64 / range };
                let step = ((relative * steps) as i64).clamp(0, ROWS * 3 - 1);
                let level = step - (ROWS - row - 1) * 3;
                text.push(match level {
                    0..=2 => MARKS[usize::try_from(level).unwrap_or(0)],
                    3.. => '|',
                    _ => ' ',
                });
            }
            text.push('\n');
        }
        text.push_str(&" ".repeat(block.len()));
        text.push('\n');
        for line in 0..labels {
            text.extend(block.iter().map(|(_, label)| label.chars().nth(line).unwrap_or(' ')));
            text.push('\n');
        }
    }
    text
}

pub(crate) fn latency_doctor(call: &mut Call<'_>) -> Outcome {
    const DISABLED: &str = "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Redis \
        instance. You may use \"CONFIG SET latency-monitor-threshold <milliseconds>.\" in order to enable it. If \
        we weren't in a deep space mission I'd suggest to take a look at \
        https://redis.io/topics/latency-monitor.\n";
    const QUIET: &str = "Dave, no latency spike was observed during the lifetime of this Redis instance, not in \
        the slightest bit. I honestly think you ought to sit down calmly, take a stress pill, and think things \
        over.\n";
    let events = &call.engine.latency.events;
    if events.is_empty() {
        let enabled = call.engine.config.tuning.latency_threshold_ms != 0;
        return Ok(verbatim(if enabled { QUIET } else { DISABLED }.to_owned()));
    }
    let mut text =
        "Dave, I have observed latency spikes in this Redis instance. You don't mind talking about \
        it, do you Dave?\n\n"
            .to_owned();
    for (number, (event, series)) in events.iter().enumerate() {
        text.push_str(&spikes(number + 1, event, series));
    }
    text.push_str(
        "\nWhile there are latency events logged, I'm not able to suggest any easy fix. Please use the \
        Redis community to get some help, providing this report in your help request.\n",
    );
    Ok(verbatim(text))
}

#[expect(clippy::cast_precision_loss, reason = "seconds between samples")]
fn spikes(number: usize, event: &str, series: &Series) -> String {
    let count = i64::try_from(series.samples.len()).unwrap_or(i64::MAX).max(1);
    let mean = series.samples.iter().map(|sample| sample.ms).sum::<i64>() / count;
    let deviation = series.samples.iter().map(|sample| (sample.ms - mean).abs()).sum::<i64>() / count;
    let first = series.samples.front().map_or(0, |sample| sample.at_s);
    let period = series.samples.back().map_or(0, |sample| sample.at_s - first).max(1) as f64 / count as f64;
    let longest = series.longest_ms;
    format!(
        "{number}. {event}: {count} latency spikes (average {mean}ms, mean deviation {deviation}ms, period \
         {period:.2} sec). Worst all time event {longest}ms.\n"
    )
}

pub(crate) fn latency_histogram(call: &mut Call<'_>) -> Outcome {
    let stats = &call.engine.stats;
    let names: Vec<&'static str> = if call.args.len() == 2 {
        table::all()
            .iter()
            .flat_map(|spec| std::iter::once(*spec).chain(spec.children()))
            .map(|spec| spec.name)
            .collect()
    } else {
        let named = call.args[2..].iter().filter_map(|name| call.engine.named(name));
        named.flat_map(|spec| std::iter::once(spec).chain(spec.children())).map(|spec| spec.name).collect()
    };
    let found = names.into_iter().filter_map(|name| stats.histogram(name).map(|one| (name, one)));
    Ok(Reply::Map(found.map(|(name, one)| (Reply::bulk(name), distribution(one))).collect()))
}

fn distribution(histogram: &Histogram) -> Reply {
    let int = |count: u64| Reply::Int(i64::try_from(count).unwrap_or(i64::MAX));
    let steps = histogram.cumulative().into_iter().map(|(us, calls)| (Reply::Int(us), int(calls)));
    Reply::Map(vec![
        (Reply::bulk("calls"), int(histogram.calls())),
        (Reply::bulk("histogram_usec"), Reply::Map(steps.collect())),
    ])
}

pub(crate) fn latency_help(_: &mut Call<'_>) -> Outcome {
    super::help_reply(help::LATENCY)
}

fn verbatim(text: String) -> Reply {
    Reply::Verbatim(Bytes::from_static(b"txt"), Bytes::from(text))
}
