//! What is asked of the database while the loop goes on: one question, one start of scheduled
//! messages and one acknowledgement at a time.

use std::sync::Arc;
use std::time::Duration;

use postrider_model::{MessageId, Timestamp};
use postrider_store::{Control, StoreError};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::timeout;

use super::Runner;
use crate::controls::Acknowledgement;
use crate::loader::{Found, Work, ask};

/// Scheduled messages that are started at once.
const STARTED_MOST: usize = 500;
/// How long a write is waited for.
const ANSWER: Duration = Duration::from_secs(30);

/// What a task brought.
pub(super) enum Done {
    Asked(Work, Result<Found, StoreError>),
    Started(Result<Vec<MessageId>, StoreError>),
    Acknowledged(Acknowledgement, Result<(), StoreError>),
}

/// What is under way.
#[derive(Default)]
pub(super) struct Jobs {
    tasks: JoinSet<Done>,
    asking: Option<(Id, Work)>,
    starting: Option<(Id, Vec<MessageId>)>,
    acknowledging: Option<Id>,
    /// A write failed: none is tried before the next poll.
    rests: bool,
}

impl Jobs {
    /// The next that is done. May be cancelled at any point.
    pub(super) async fn next(&mut self) -> Option<Result<Done, JoinError>> {
        self.tasks.join_next().await
    }

    pub(super) async fn shut_down(&mut self) {
        self.tasks.shutdown().await;
    }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match timeout(ANSWER, asked).await {
        Ok(answer) => answer,
        Err(late) => Err(StoreError::Unavailable(Box::new(late))),
    }
}

impl Runner {
    /// Begins what can be begun.
    pub(super) fn begin_jobs(&mut self) {
        let now = self.shared.clock.now();
        if self.jobs.asking.is_none()
            && let Some(work) = self.loader.next(&mut self.memory, now)
        {
            let queue = Arc::clone(&self.shared.queue);
            let controls = Arc::clone(&self.shared.controls);
            let task = self.jobs.tasks.spawn({
                let work = work.clone();
                async move {
                    let (work, found) = ask(queue, controls, work).await;
                    Done::Asked(work, found)
                }
            });
            self.jobs.asking = Some((task.id(), work));
        }
        if self.jobs.rests {
            return;
        }
        self.start_scheduled();
        self.acknowledge();
    }

    /// Nobody may dispatch a scheduled message before this write is done: whoever cancels it
    /// asks under the same condition.
    fn start_scheduled(&mut self) {
        if self.jobs.starting.is_some() {
            return;
        }
        let now = self.shared.clock.now();
        let messages = self.memory.schedule.scheduled(now, STARTED_MOST);
        if messages.is_empty() {
            return;
        }
        let (queue, asked) = (Arc::clone(&self.shared.queue), messages.clone());
        let task = self
            .jobs
            .tasks
            .spawn(async move { Done::Started(in_time(queue.start_scheduled(&asked, now)).await) });
        self.jobs.starting = Some((task.id(), messages));
    }

    fn acknowledge(&mut self) {
        if self.jobs.acknowledging.is_some() {
            return;
        }
        let node = self.standing.node();
        let (verbs, flights) = (&mut self.memory.verbs, &self.memory.flights);
        let Some(next) = verbs.next_acknowledgement(node, flights) else {
            return;
        };
        let controls = Arc::clone(&self.shared.controls);
        let task = self.jobs.tasks.spawn(async move {
            let told = controls.acknowledge(next.control, next.node, &next.too_late);
            let done = in_time(told).await;
            Done::Acknowledged(next, done)
        });
        self.jobs.acknowledging = Some(task.id());
    }

    /// Puts in place what a task brought.
    pub(super) fn take_in(&mut self, done: Result<Done, JoinError>, now: Timestamp) {
        match done {
            Ok(Done::Asked(work, found)) => {
                self.jobs.asking = None;
                if let Ok(Found::Begun(_, controls) | Found::Verbs(controls)) = &found {
                    self.obey(controls, now);
                }
                self.loader.found(work, found, &mut self.memory, now);
            }
            Ok(Done::Started(started)) => {
                let asked = self.jobs.starting.take();
                let asked = asked.map(|(_, messages)| messages).unwrap_or_default();
                self.started(&asked, started, now);
            }
            Ok(Done::Acknowledged(done, told)) => {
                self.jobs.acknowledging = None;
                match told {
                    // Closed meanwhile: nobody waits for it any more.
                    Ok(()) | Err(StoreError::NotFound { .. }) => {
                        self.memory.verbs.acknowledged(&done);
                    }
                    Err(fault) => {
                        tracing::warn!(
                            error = &fault as &dyn std::error::Error,
                            "a verb could not be acknowledged yet"
                        );
                        self.jobs.rests = true;
                    }
                }
            }
            Err(fault) => self.after_a_jobs_panic(&fault, now),
        }
    }

    fn obey(&mut self, controls: &[Control], now: Timestamp) {
        let memory = &mut self.memory;
        let (again, new) = memory
            .verbs
            .obey(controls, &mut memory.schedule, &memory.flights, now);
        self.shared.instruments.owner.controls.add(new);
        for lane in again {
            // It may have been given away meanwhile.
            if memory.shards.lease_for(lane.tenant).is_some() {
                self.loader.read_again(lane);
            }
        }
    }

    fn started(
        &mut self,
        asked: &[MessageId],
        started: Result<Vec<MessageId>, StoreError>,
        now: Timestamp,
    ) {
        let schedule = &mut self.memory.schedule;
        match started {
            Ok(started) => {
                for message in asked {
                    if started.contains(message) {
                        schedule.start(*message, now);
                    } else {
                        // Taken back, or moved: the changes tell.
                        schedule.drop_message(*message);
                    }
                }
            }
            Err(fault) => {
                tracing::error!(
                    error = &fault as &dyn std::error::Error,
                    "scheduled messages could not be started yet"
                );
                self.jobs.rests = true;
                for message in asked {
                    schedule.ask_again(*message);
                }
            }
        }
    }

    /// Writes that failed are tried again from here on.
    pub(super) fn try_again(&mut self) {
        self.jobs.rests = false;
    }

    fn after_a_jobs_panic(&mut self, fault: &JoinError, now: Timestamp) {
        tracing::error!(%fault, "a question to the database ended in a panic");
        let unanswered = || StoreError::Unavailable("it ended in a panic".into());
        let id = fault.id();
        if self
            .jobs
            .asking
            .as_ref()
            .is_some_and(|(task, _)| *task == id)
            && let Some((_, work)) = self.jobs.asking.take()
        {
            self.loader
                .found(work, Err(unanswered()), &mut self.memory, now);
        } else if self
            .jobs
            .starting
            .as_ref()
            .is_some_and(|(task, _)| *task == id)
            && let Some((_, asked)) = self.jobs.starting.take()
        {
            self.started(&asked, Err(unanswered()), now);
        } else {
            self.jobs.acknowledging = None;
            self.jobs.rests = true;
        }
    }
}
