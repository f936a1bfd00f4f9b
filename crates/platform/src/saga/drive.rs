//! One run of one saga: the state machine's decisions, carried out.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use merx_contracts::ids::SagaId;
use merx_kernel::{Error, Result, Timestamp};

use super::{
    AnySaga, End, Progress, SagaStatus, StepOutcome,
    any::OpenSaga,
    engine::{Inner, Source},
    fault::{Point, Verdict},
    machine::{self, Outcome, Plan, State},
};
use crate::{
    store::{Parking, Refusal, SagaRow},
    tasks::panic_text,
    trace,
};

pub(super) struct Drive {
    engine: Arc<Inner>,
    source: Source,
}

/// A saga as far as its run needs to know it.
struct Begun {
    id: SagaId,
    name: String,
    version: i64,
    data: String,
    pivot_passed: bool,
    refusal: Option<Refusal>,
    failures: i64,
    /// Whether it was taken up from the log, so that any step may have been tried before.
    resumed: bool,
    traceparent: Option<String>,
}

/// Why a run stops before the end.
enum Stop {
    /// Try again: at a known moment, or after a back-off.
    Later { at: Option<Timestamp>, failure: bool, reason: String },
    /// Only a person can tell.
    Stuck(String),
    /// The process is gone or going.
    Halt,
}

impl Drive {
    pub(super) fn new(engine: Arc<Inner>, source: Source) -> Self {
        Self { engine, source }
    }

    pub(super) async fn run(self) -> Progress {
        let begun = match self.source {
            Source::Started(new) => Begun {
                id: new.id,
                name: new.name.to_owned(),
                version: new.version,
                data: new.data,
                pivot_passed: false,
                refusal: None,
                failures: 0,
                resumed: false,
                traceparent: new.traceparent,
            },
            Source::Stored(id) => match claim(&self.engine, id).await {
                Ok(Ok(begun)) => begun,
                Ok(Err(status)) => return Progress::Closed(status),
                Err(error) => {
                    tracing::error!(saga_id = %id, error = %error.chain(), "a saga cannot be read from its log");
                    return Progress::Halted;
                }
            },
        };
        let traced = begun.traceparent.as_deref().and_then(|t| t.parse().ok()).or_else(trace::current);
        let engine = self.engine;
        trace::scope(traced, async move { course(&engine, begun).await }).await
    }
}

/// Reads a saga and, if it was parked, marks it as going. The inner `Err` is the status of one that has ended.
async fn claim(engine: &Inner, id: SagaId) -> Result<Result<Begun, SagaStatus>> {
    let (log, now) = (engine.deps.log, engine.deps.clock.now());
    let row: Option<SagaRow> = engine.deps.db.read("saga.claim", move |q| log.find(q, id)).await?;
    let row = row.ok_or_else(|| Error::not_found("saga.not_found", format!("There is no saga {id}.")))?;
    if !row.status.is_open() {
        return Ok(Err(row.status));
    }
    if matches!(row.status, SagaStatus::Waiting | SagaStatus::Stuck) {
        let onward = if row.refusal.is_some() { SagaStatus::Compensating } else { SagaStatus::Running };
        let (failures, problem) = (row.failures, row.problem.clone().unwrap_or_default());
        let write = move |tx: &mut merx_sql::Tx<'_>| {
            let parking = Parking { status: onward, failures, next_attempt_at: None, problem: &problem };
            log.park(tx, id, &parking, now)
        };
        engine.deps.db.write("saga.claim", write).await?;
    }
    Ok(Ok(Begun {
        id,
        name: row.name,
        version: row.version,
        data: row.data,
        pivot_passed: row.pivot_passed,
        refusal: row.refusal,
        failures: row.failures,
        resumed: true,
        traceparent: row.traceparent,
    }))
}

/// Runs a saga until it ends or stops.
async fn course(engine: &Arc<Inner>, begun: Begun) -> Progress {
    let opened = match engine.kind(&begun.name, begun.version) {
        Some(kind) => {
            let plan = kind.plan();
            AnySaga::open(kind, begun.id, &begun.data).map(|open| (plan, open)).map_err(|e| e.chain())
        }
        None => Err(format!("this program does not know version {} of saga {}", begun.version, begun.name)),
    };
    let mut run =
        Run { engine, id: begun.id, name: &begun.name, failures: begun.failures, resumed: begun.resumed };
    let (plan, open) = match opened {
        Ok(opened) => opened,
        Err(reason) => return run.park_stuck(reason, None).await,
    };
    let mut state = machine::begin(&plan, begun.pivot_passed, begun.refusal);
    loop {
        let stop = match state {
            State::Ended(end) => {
                engine.deps.metrics.saga_ended(&begun.name, matches!(end, End::Done));
                tracing::debug!(saga_id = %run.id, saga = begun.name, ?end, "saga ended");
                return Progress::Ended(end);
            }
            State::Stuck(reason) => Stop::Stuck(reason),
            going => match run.carry_out(&plan, &*open, &going).await {
                Ok(outcome) => {
                    // Not after every step: those before the last record run again on every attempt.
                    if matches!(going, State::RecordPivot(_) | State::RecordRefusal(..)) {
                        run.failures = 0;
                    }
                    state = machine::next(&plan, going, outcome);
                    continue;
                }
                Err(stop) => stop,
            },
        };
        return match stop {
            Stop::Halt => Progress::Halted,
            Stop::Stuck(reason) => run.park_stuck(reason, None).await,
            Stop::Later { at, failure, reason } => run.park(at, failure, reason).await,
        };
    }
}

struct Run<'a> {
    engine: &'a Arc<Inner>,
    id: SagaId,
    name: &'a str,
    failures: i64,
    resumed: bool,
}

impl Run<'_> {
    async fn carry_out(&self, plan: &Plan, open: &dyn OpenSaga, state: &State) -> Result<Outcome, Stop> {
        // A boundary: what is not begun yet can wait for the next start.
        if self.engine.deps.tasks.stopping().is_cancelled() {
            return Err(Stop::Halt);
        }
        let name = |step: usize| plan.steps.get(step).map_or("?", |s| s.name);
        let answer = match state {
            State::Act(step) => {
                let points = [Point::BeforeStep(name(*step)), Point::AfterStep(name(*step))];
                self.perform(points, || open.act(*step)).await?
            }
            State::Undo(step, _) => {
                let points = [Point::BeforeUndo(name(*step)), Point::AfterUndo(name(*step))];
                self.perform(points, || open.undo(*step)).await?
            }
            State::Finish(end) => {
                let points = [Point::BeforeFinish, Point::AfterFinish];
                self.perform(points, || {
                    Box::pin(async { open.finish(end).await.map(|()| StepOutcome::Done) })
                })
                .await?
            }
            State::RecordPivot(_) => self.record(None).await?,
            State::RecordRefusal(_, refusal) => self.record(Some(refusal.clone())).await?,
            State::Ended(_) | State::Stuck(_) => Ok(StepOutcome::Done),
        };
        match answer {
            Ok(StepOutcome::Done) => Ok(Outcome::Done),
            Ok(StepOutcome::Refused { code, message }) => Ok(self.refused(code, message)),
            Ok(StepOutcome::RetryLater { at, reason }) => {
                Err(Stop::Later { at, failure: at.is_none(), reason })
            }
            Err(error) if error.kind().is_retryable() => {
                tracing::warn!(saga_id = %self.id, saga = self.name, at = ?state, error = %error.chain(), "saga step failed");
                let at = error.retry_after().map(|after| self.engine.deps.clock.now().plus(after));
                Err(Stop::Later {
                    at,
                    failure: true,
                    reason: format!("{}: {}", error.code(), error.message()),
                })
            }
            Err(error) => Ok(self.refused(error.code().to_owned(), error.message().to_owned())),
        }
    }

    /// Within one run each step is tried once.
    fn refused(&self, code: String, message: String) -> Outcome {
        Outcome::Refused { code, message, tried_before: self.resumed }
    }

    /// Runs one action with its time limit, a panic being a failure. The inner result is the action's.
    async fn perform<'f>(
        &self,
        [before, after]: [Point; 2],
        action: impl Fn() -> BoxFuture<'f, Result<StepOutcome>>,
    ) -> Result<Result<StepOutcome>, Stop> {
        match self.fault(&before) {
            Verdict::Go | Verdict::Again => {}
            Verdict::Crash => return Err(Stop::Halt),
            Verdict::Fail(error) => return Ok(Err(error)),
        }
        let answer = self.bounded(action()).await;
        match self.fault(&after) {
            Verdict::Go => Ok(answer),
            Verdict::Again => Ok(self.bounded(action()).await),
            Verdict::Crash => Err(Stop::Halt),
            Verdict::Fail(error) => Ok(Err(error)),
        }
    }

    async fn bounded(&self, action: BoxFuture<'_, Result<StepOutcome>>) -> Result<StepOutcome> {
        let limit: Duration = self.engine.limits.step_timeout;
        tokio::select! {
            biased;
            answer = AssertUnwindSafe(action).catch_unwind() => answer.unwrap_or_else(|panic| {
                Err(Error::internal(format!("a saga step panicked: {}", panic_text(&*panic))))
            }),
            () = self.engine.deps.clock.sleep(limit) => {
                Err(Error::internal(format!("a saga step took longer than {limit:?}")))
            }
        }
    }

    /// Writes the refusal, or else the pivot, durably.
    async fn record(&self, refusal: Option<Refusal>) -> Result<Result<StepOutcome>, Stop> {
        let (log, id, now) = (self.engine.deps.log, self.id, self.engine.deps.clock.now());
        let point = if refusal.is_some() { Point::AfterRefusal } else { Point::AfterPivot };
        let write = move |tx: &mut merx_sql::Tx<'_>| match &refusal {
            Some(refusal) => log.refused(tx, id, refusal, now),
            None => log.pivot(tx, id, now),
        };
        let written = self.engine.deps.db.write("saga.record", write).await;
        if let Verdict::Crash = self.fault(&point) {
            return Err(Stop::Halt);
        }
        Ok(written.map(|()| StepOutcome::Done))
    }

    fn fault(&self, point: &Point) -> Verdict {
        self.engine.fault.as_ref().map_or(Verdict::Go, |fault| fault.at(self.id, point))
    }

    async fn park(&mut self, at: Option<Timestamp>, failure: bool, reason: String) -> Progress {
        self.failures = if failure { self.failures + 1 } else { 0 };
        if failure {
            self.engine.deps.metrics.saga_failed(self.name);
        }
        let now = self.engine.deps.clock.now();
        if self.failures >= self.engine.limits.failures_max {
            let again = now.plus(self.engine.limits.stuck_retry);
            let reason = format!("failed {} times in a row, last: {reason}", self.failures);
            return self.park_stuck(reason, Some(again)).await;
        }
        let backoff = || {
            let failures = u32::try_from(self.failures).unwrap_or(u32::MAX);
            now.plus(self.engine.limits.backoff.wait(failures, &*self.engine.deps.entropy))
        };
        // A moment that has passed already must not make this a busy loop.
        let until = at.map_or_else(backoff, |at| at.max(now.plus(self.engine.limits.backoff.min)));
        if !self.write_parked(SagaStatus::Waiting, Some(until), &reason).await {
            return Progress::Halted;
        }
        Progress::Waiting { until, reason }
    }

    async fn park_stuck(&mut self, reason: String, again: Option<Timestamp>) -> Progress {
        self.engine.deps.metrics.alert("saga_stuck");
        tracing::error!(saga_id = %self.id, saga = self.name, reason, "saga is stuck and needs an operator");
        if !self.write_parked(SagaStatus::Stuck, again, &reason).await {
            return Progress::Halted;
        }
        Progress::Stuck { reason }
    }

    async fn write_parked(
        &self,
        status: SagaStatus,
        next_attempt_at: Option<Timestamp>,
        problem: &str,
    ) -> bool {
        let (log, id, now, failures) =
            (self.engine.deps.log, self.id, self.engine.deps.clock.now(), self.failures);
        let problem = problem.to_owned();
        let write = move |tx: &mut merx_sql::Tx<'_>| {
            log.park(tx, id, &Parking { status, failures, next_attempt_at, problem: &problem }, now)
        };
        let written = self.engine.deps.db.write("saga.park", write).await;
        self.engine.wake();
        if let Err(error) = &written {
            // Its row still says that it is going: the engine finds it again as forgotten, or at the next start.
            tracing::error!(saga_id = %self.id, saga = self.name, error = %error.chain(), "a saga cannot be parked");
        }
        written.is_ok()
    }
}
