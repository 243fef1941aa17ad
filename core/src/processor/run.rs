//! The consume loop: takes deliveries, starts work, commits what is finished, answers rebalances.
//!
//! Work runs in tasks of its own that end with the loop; the loop never waits for one of them except to wind
//! down, and then within a bound. All bookkeeping is in `lanes` and `progress`.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};

use super::ProcessorError;
use super::catch_up;
use super::lanes::{LaneKey, Lanes};
use super::patience::Halt;
use super::progress::Progress;
use super::work::{Item, Worker};
use crate::bus::{BusError, Consumer, ConsumerOptions, Delivery, Gap, Record, TopicPartition};
use crate::store::Position;
use crate::{mutant, point, start};

/// Runs until stopped.
pub(super) async fn run(worker: Arc<Worker>) -> Result<(), ProcessorError> {
    let options = &worker.options;
    let subscription = ConsumerOptions {
        group: options.group.clone(),
        topics: options.topics.clone(),
        session_timeout: options.session_timeout,
        committed_only: false,
    };
    let bus_error = |source: BusError| ProcessorError::Bus { group: options.group.clone(), source };
    let mut consumer = tokio::select! {
        biased;
        () = worker.env.stop.cancelled() => return Ok(()),
        started = start::consumer(&worker.env, subscription, &options.start) => started?,
    };
    let mut engine = Engine::new(Arc::clone(&worker));
    let mut ticks = tokio::time::interval(options.commit_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pass: Option<Pass> = None;
    loop {
        engine.start_waiting();
        let room = engine.has_room() && !engine.gap;
        if engine.gap && engine.is_idle() && pass.is_none() {
            pass = Some(Box::pin(catch_up::run(Arc::clone(&worker), engine.caught_up)));
        }
        tokio::select! {
            biased;
            () = worker.env.stop.cancelled() => break,
            _ = ticks.tick() => engine.commit(&mut *consumer).await,
            Some(ended) = engine.tasks.join_next() => engine.ended(ended)?,
            ended = end_of(&mut pass) => {
                pass = None;
                engine.passed(ended)?;
            }
            delivery = consumer.next(), if room => {
                engine.take(delivery.map_err(bus_error)?, &mut *consumer).await?;
            }
        }
    }
    let partitions = engine.progress.partitions();
    engine.wind_down(&partitions).await?;
    engine.commit(&mut *consumer).await;
    if let Err(error) = consumer.close().await {
        tracing::debug!(%error, "the group was not told and will notice by timeout");
    }
    Ok(())
}

/// A pass over the event store.
type Pass = Pin<Box<dyn Future<Output = Result<Position, Halt>> + Send>>;

/// Waits for the end of a pass, for ever if there is none.
async fn end_of(pass: &mut Option<Pass>) -> Result<Position, Halt> {
    match pass {
        Some(pass) => pass.await,
        None => std::future::pending().await,
    }
}

struct Engine {
    worker: Arc<Worker>,
    lanes: Lanes<Queued>,
    progress: Progress,
    tasks: JoinSet<(u64, Result<(), Halt>)>,
    running: BTreeMap<u64, Running>,
    last_task: u64,
    /// The log has a gap: nothing is taken from it, nor committed, before a pass over the store has ended.
    gap: bool,
    /// Up to here every stored event is handled.
    caught_up: Position,
}

/// An item in its lane, with the assignment it was delivered under.
struct Queued {
    item: Item,
    place: Place,
}

#[derive(Clone)]
struct Place {
    partition: TopicPartition,
    offset: i64,
    epoch: u64,
}

struct Running {
    lane: LaneKey,
    place: Place,
    abort: AbortHandle,
}

impl Engine {
    fn new(worker: Arc<Worker>) -> Self {
        Self {
            worker,
            lanes: Lanes::new(),
            progress: Progress::default(),
            tasks: JoinSet::new(),
            running: BTreeMap::new(),
            last_task: 0,
            gap: false,
            caught_up: Position::START,
        }
    }

    fn has_room(&self) -> bool {
        let options = &self.worker.options;
        let in_flight = self.lanes.queued() + self.running.len();
        in_flight < options.max_in_flight && self.progress.uncommitted() < options.max_uncommitted
    }

    fn is_idle(&self) -> bool {
        self.lanes.queued() == 0 && self.running.is_empty()
    }

    /// Starts as much work as may run at once.
    fn start_waiting(&mut self) {
        while self.running.len() < self.worker.options.max_concurrency {
            let Some((lane, Queued { item, place })) = self.lanes.start() else { return };
            self.last_task += 1;
            let (task, worker) = (self.last_task, Arc::clone(&self.worker));
            let work = async move { (task, worker.work(item).await) };
            // Boxed: the handler's and the store's futures make it large, and a task is moved when spawned.
            let work: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(work);
            let abort = self.tasks.spawn(work);
            self.running.insert(task, Running { lane, place, abort });
        }
    }

    /// Notes the end of a task.
    fn ended(&mut self, ended: Result<(u64, Result<(), Halt>), JoinError>) -> Result<(), ProcessorError> {
        let (task, result) = match ended {
            Ok(ended) => ended,
            // Aborted by us, and already struck from the books.
            Err(error) if error.is_cancelled() => return Ok(()),
            Err(error) => return Err(ProcessorError::Panicked(error.to_string())),
        };
        let Some(Running { lane, place, .. }) = self.running.remove(&task) else { return Ok(()) };
        self.lanes.ended(&lane);
        if passing(result)?.is_some() {
            self.progress.finished(&place.partition, place.epoch, place.offset);
        }
        Ok(())
    }

    /// Notes the end of a pass over the store.
    fn passed(&mut self, ended: Result<Position, Halt>) -> Result<(), ProcessorError> {
        // Abandoned only when the service stops.
        if let Some(position) = passing(ended)? {
            point::saw("caught-up");
            self.caught_up = position;
            self.gap = false;
        }
        Ok(())
    }

    /// Acts on what the consumer says.
    async fn take(&mut self, delivery: Delivery, consumer: &mut dyn Consumer) -> Result<(), ProcessorError> {
        match delivery {
            Delivery::Records(records) => {
                for record in records {
                    self.enqueue(record);
                }
                if mutant::enabled("commit-before-processing") {
                    self.commit(consumer).await;
                }
            }
            Delivery::Assigned(partitions) => {
                for partition in partitions {
                    self.progress.assigned(partition);
                }
            }
            Delivery::Revoked(partitions) => {
                point::saw("revoked");
                self.wind_down(&partitions).await?;
                self.commit(consumer).await;
                self.forget(&partitions);
            }
            Delivery::Lost(partitions) => {
                point::saw("lost");
                // What runs may finish its event, which spares the new owner the work; its offset is no longer
                // ours to commit.
                self.lanes.retain(|queued| !partitions.contains(&queued.place.partition));
                self.forget(&partitions);
            }
            Delivery::Gap(partition, gap) => self.note(&partition, gap),
        }
        Ok(())
    }

    /// Notes that the log may lack records.
    fn note(&mut self, partition: &TopicPartition, gap: Gap) {
        point::saw("gap");
        // Mutants 20 and 40: nobody looks for what is missing.
        let ignored = match gap {
            Gap::Deleted => mutant::enabled("gap-skipped"),
            Gap::Truncated => mutant::enabled("new-leader-trusted"),
        };
        self.gap |= self.worker.options.catch_up.is_some() && !ignored;
        if gap == Gap::Deleted && !self.gap {
            tracing::warn!(?partition, "records were deleted before they were read, and are passed over");
        }
    }

    fn enqueue(&mut self, record: Record) {
        let (partition, offset) = (record.partition.clone(), record.offset);
        let (epoch, over) = self.progress.delivered(&partition, offset);
        if mutant::enabled("commit-before-processing") {
            // Mutant 1: finished as soon as it is seen.
            self.progress.finished(&partition, epoch, offset);
        }
        let item = Item::new(record, self.worker.options.verify.as_ref(), over);
        self.lanes.push(item.lane(), Queued { item, place: Place { partition, offset, epoch } });
    }

    /// Begins nothing new in these partitions and lets what runs there finish, within the drain timeout.
    async fn wind_down(&mut self, partitions: &[TopicPartition]) -> Result<(), ProcessorError> {
        for partition in partitions {
            self.progress.wind_down(partition);
        }
        self.lanes.retain(|queued| !partitions.contains(&queued.place.partition));
        let deadline = Instant::now() + self.worker.options.drain_timeout;
        while self.running.values().any(|running| partitions.contains(&running.place.partition)) {
            match tokio::time::timeout_at(deadline, self.tasks.join_next()).await {
                Ok(Some(ended)) => self.ended(ended)?,
                Ok(None) | Err(_) => break,
            }
            // Other partitions go on.
            self.start_waiting();
        }
        let late: Vec<u64> = self
            .running
            .iter()
            .filter(|(_, running)| partitions.contains(&running.place.partition))
            .map(|(task, _)| *task)
            .collect();
        for task in late {
            if let Some(Running { lane, abort, .. }) = self.running.remove(&task) {
                abort.abort();
                self.lanes.ended(&lane);
            }
        }
        Ok(())
    }

    fn forget(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.progress.forget(partition);
        }
    }

    /// Commits what is finished. A failure is no harm: the next commit covers it, or the events come again.
    async fn commit(&mut self, consumer: &mut dyn Consumer) {
        // While the gap is open, the old offset is what tells the next owner of it.
        let offsets = self.progress.committable();
        if self.gap || offsets.is_empty() {
            return;
        }
        point!("processor.before-offset-commit");
        match consumer.commit(&offsets).await {
            Ok(()) => {
                self.progress.committed(&offsets);
                point!("processor.after-offset-commit");
            }
            Err(error) => {
                point::saw("offset-commit-failed");
                tracing::debug!(%error, "offsets were not committed");
            }
        }
    }
}

/// `None` of work that was abandoned: whoever comes next does it.
fn passing<T>(result: Result<T, Halt>) -> Result<Option<T>, ProcessorError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Halt::Abandoned) => Ok(None),
        Err(Halt::Store(error)) => Err(ProcessorError::Store(error)),
        Err(Halt::Keys(error)) => Err(ProcessorError::Keys(error)),
    }
}
