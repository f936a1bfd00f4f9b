//! Proves a saga against its own world: a failure before and after each step, everything twice, a crash at each
//! point and after each record of the log, and each refusal with the same done to its undoing; and for each step with
//! an undo, a first try that has its effect only when the saga has turned back and ended.
//!
//! The points are not listed here: a clean run of each scenario shows which there are.

use std::{
    collections::BTreeSet,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use merx_contracts::ids::SagaId;
use merx_kernel::{Error, Result, Timestamp};

use super::{
    AnySaga, End, NewSaga, Progress, SagaEngine, SagaStatus, StepOutcome,
    fault::{Fault, Point, Verdict},
    machine::{Plan, PlannedStep},
};
use crate::tasks::panic_text;

/// Lives a saga may take to end in one case.
const LIVES_MAX: usize = 60;
/// The code of the refusals made here.
pub const REFUSED: &str = "harness.refused";

/// What a saga works on, made fresh for each case: a database, the services it asks (real ones or doubles).
#[async_trait]
pub trait World: Send + Sync {
    /// An engine over this world, as a process makes it when it starts: with the saga's kind, the given fault, and
    /// not started. Called again after each simulated crash.
    fn engine(&self, fault: Arc<dyn Fault>) -> SagaEngine;

    /// Starts the saga in the transaction of its cause. Called once.
    ///
    /// # Errors
    /// What the world's database answers.
    async fn start(&self) -> Result<NewSaga>;

    /// The saga waits until then. A world with a clock of its own moves it there.
    async fn wait(&self, until: Timestamp) {
        let _ = until;
    }
}

/// What was proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The names of the cases that ran.
    pub cases: Vec<String>,
}

/// Runs every case, each in a world of its own, and lets `check` assert the final state: for one end it must be the
/// same in every case. `check` may panic.
///
/// # Errors
/// The case that did not hold, and why.
pub async fn prove<W: World>(
    make: impl AsyncFn() -> W,
    check: impl AsyncFn(&W, &End),
) -> Result<Proof, String> {
    let bench = Bench { make, check, cases: Mutex::default() };
    let Plan { steps, pivot } = bench.plan().await?;
    bench.scenario("done", &[], &End::Done).await?;
    bench.case("crash after start", Script::new(&[]), &End::Done, Entry::Resume).await?;
    for (index, PlannedStep { name: step, undoable }) in steps.into_iter().enumerate() {
        let refuse = Rule { point: Point::BeforeStep(step), what: What::Refuse, always: true };
        if pivot.is_some_and(|pivot| index > pivot) {
            // Stuck; the operator mends what refused and retries.
            let case = format!("{step} refuses after the pivot");
            bench.case(&case, Script::new(&[refuse]), &End::Done, Entry::Stuck).await?;
            continue;
        }
        let end = End::Refused {
            step: step.to_owned(),
            code: REFUSED.to_owned(),
            message: "The harness refuses.".to_owned(),
        };
        bench.scenario(&format!("{step} refuses"), std::slice::from_ref(&refuse), &end).await?;
        if undoable {
            bench.comes_late(index, &refuse, &end).await?;
        }
    }
    Ok(Proof { cases: bench.cases.into_inner().unwrap_or_else(PoisonError::into_inner) })
}

struct Bench<M, C> {
    make: M,
    check: C,
    cases: Mutex<Vec<String>>,
}

/// How a case begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    /// As a request does: from memory.
    Run,
    /// As the first start after a crash does: from the log.
    Resume,
    /// As `Run`, and it must become stuck before it ends.
    Stuck,
}

impl<W: World, M: AsyncFn() -> W, C: AsyncFn(&W, &End)> Bench<M, C> {
    async fn plan(&self) -> Result<Plan, String> {
        let world = (self.make)().await;
        let saga = world.start().await.map_err(|e| e.chain())?;
        Ok(kind_of(&world, &saga)?.plan())
    }

    /// The first try of the step has no answer and no effect yet, the next one refuses, and when the saga has ended
    /// the first has its effect after all.
    async fn comes_late(&self, step: usize, refuse: &Rule, end: &End) -> Result<(), String> {
        let once = |point, what| Rule { point, what, always: false };
        let lost = once(refuse.point.clone(), What::Fail);
        let died = once(refuse.point.clone(), What::Crash);
        let recorded = once(Point::AfterRefusal, What::Crash);
        for (how, rules) in [
            ("its answer lost", vec![lost.clone(), refuse.clone()]),
            ("its asker dead", vec![died, refuse.clone()]),
            ("its answer lost, and a crash after the refusal", vec![lost, recorded, refuse.clone()]),
        ] {
            let name = format!("{:?} refuses, {how}, and has its effect late", refuse.point);
            self.case(&name, Script::new(&rules).late(step), end, Entry::Run).await?;
        }
        Ok(())
    }

    /// A clean run, then the same with something happening at each of its points.
    async fn scenario(&self, name: &str, rules: &[Rule], end: &End) -> Result<(), String> {
        let points = self.case(name, Script::new(rules), end, Entry::Run).await?;
        let with = |more: &[Rule]| Script::new(&[more, rules].concat());
        for point in &points {
            let once = |what| with(&[Rule { point: point.clone(), what, always: false }]);
            if !is_before(point) {
                self.case(&format!("{name}, crash at {point:?}"), once(What::Crash), end, Entry::Run).await?;
            }
            if matches!(point, Point::AfterStep(_) | Point::AfterUndo(_) | Point::AfterFinish) {
                self.case(&format!("{name}, twice {point:?}"), once(What::Again), end, Entry::Run).await?;
            }
            if !matches!(point, Point::AfterPivot | Point::AfterRefusal) {
                self.case(&format!("{name}, failure at {point:?}"), once(What::Fail), end, Entry::Run)
                    .await?;
            }
        }
        let all = |what, always| -> Vec<Rule> {
            let after = points.iter().filter(|p| !is_before(p));
            after.map(|point| Rule { point: point.clone(), what, always }).collect()
        };
        self.case(&format!("{name}, all twice"), with(&all(What::Again, true)), end, Entry::Run).await?;
        self.case(&format!("{name}, a crash everywhere"), with(&all(What::Crash, false)), end, Entry::Run)
            .await?;
        Ok(())
    }

    /// One world from start to end; answers the points that were passed.
    async fn case(
        &self,
        name: &str,
        script: Script,
        end: &End,
        entry: Entry,
    ) -> Result<BTreeSet<Point>, String> {
        let script = Arc::new(script);
        let held = AssertUnwindSafe(self.hold(script.clone(), end, entry)).catch_unwind().await;
        self.cases.lock().unwrap_or_else(PoisonError::into_inner).push(name.to_owned());
        match held {
            Ok(Ok(())) => Ok(script.passed()),
            Ok(Err(problem)) => Err(format!("case `{name}`: {problem}")),
            Err(panic) => Err(format!("case `{name}`: {}", panic_text(&*panic))),
        }
    }

    async fn hold(&self, script: Arc<Script>, end: &End, entry: Entry) -> Result<(), String> {
        let world = (self.make)().await;
        let saga = world.start().await.map_err(|e| e.chain())?;
        let was_stuck = live(&world, &script, &saga, end, entry).await?;
        if was_stuck != (entry == Entry::Stuck) {
            return Err(format!("the saga was stuck: {was_stuck}, expected {}", entry == Entry::Stuck));
        }
        let engine = world.engine(Arc::new(Script::new(&[])));
        let row = engine.find(saga.id).await.map_err(|e| e.chain())?;
        if row.status != SagaStatus::Done {
            return Err(format!(
                "`finish` ran, and the log says {:?}: it must call SagaLog::end",
                row.status
            ));
        }
        (self.check)(&world, end).await;
        if let Some(step) = script.late {
            let open = kind_of(&world, &saga)?.open(saga.id, &saga.data).map_err(|e| e.chain())?;
            // Refused or not: the one who asked is long gone.
            let _: Result<StepOutcome> = open.act(step).await;
            (self.check)(&world, end).await;
        }
        if *end == End::Done {
            // Another process that had the saga in memory comes late and runs all of it again.
            let again = engine.run(&saga).await;
            if again != Progress::Ended(End::Done) {
                return Err(format!("run again after its end it came to {again:?}"));
            }
            (self.check)(&world, end).await;
        }
        Ok(())
    }
}

fn kind_of(world: &impl World, saga: &NewSaga) -> Result<Arc<dyn AnySaga>, String> {
    let engine = world.engine(Arc::new(Script::new(&[])));
    engine
        .0
        .kind(saga.name, saga.version)
        .ok_or_else(|| "the engine does not know the saga's kind".to_owned())
}

/// Lets a saga live, and start again after each crash, until it has ended; answers whether it was ever stuck.
async fn live<W: World>(
    world: &W,
    script: &Arc<Script>,
    saga: &NewSaga,
    end: &End,
    entry: Entry,
) -> Result<bool, String> {
    let mut engine = world.engine(script.clone());
    let mut stuck = false;
    let mut progress = match entry {
        Entry::Run | Entry::Stuck => engine.run(saga).await,
        Entry::Resume => engine.resume(saga.id).await,
    };
    for _ in 0..LIVES_MAX {
        progress = match progress {
            Progress::Ended(reached) if reached == *end => return Ok(stuck),
            Progress::Ended(reached) => return Err(format!("ended {reached:?}, expected {end:?}")),
            // A crash after the outcome was written: there is nothing left to do.
            Progress::Closed(SagaStatus::Done) => return Ok(stuck),
            Progress::Closed(status) => return Err(format!("the log says {status:?}")),
            Progress::Halted => {
                engine = world.engine(script.clone());
                engine.resume(saga.id).await
            }
            Progress::Waiting { until, .. } => {
                world.wait(until).await;
                engine.resume(saga.id).await
            }
            Progress::Stuck { reason } if stuck => return Err(format!("stuck again: {reason}")),
            Progress::Stuck { .. } => {
                stuck = true;
                script.mend();
                engine.retry(saga.id).await.map_err(|e| e.chain())?.await
            }
        };
    }
    Err(format!("not ended after {LIVES_MAX} lives, last {progress:?}"))
}

fn is_before(point: &Point) -> bool {
    matches!(point, Point::BeforeStep(_) | Point::BeforeUndo(_) | Point::BeforeFinish)
}

/// What a rule does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Crash,
    Fail,
    Refuse,
    Again,
}

#[derive(Clone)]
struct Rule {
    point: Point,
    what: What,
    always: bool,
}

/// What happens at which point; keeps the points passed.
struct Script {
    rules: Mutex<Vec<Rule>>,
    passed: Mutex<BTreeSet<Point>>,
    /// The step whose action runs once more when all is over.
    late: Option<usize>,
}

impl Script {
    fn new(rules: &[Rule]) -> Self {
        Self { rules: Mutex::new(rules.to_vec()), passed: Mutex::default(), late: None }
    }

    fn late(self, step: usize) -> Self {
        Self { late: Some(step), ..self }
    }

    fn passed(&self) -> BTreeSet<Point> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Nothing happens any more.
    fn mend(&self) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Fault for Script {
    fn at(&self, _: SagaId, point: &Point) -> Verdict {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).insert(point.clone());
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(index) = rules.iter().position(|rule| rule.point == *point) else { return Verdict::Go };
        let what = if rules[index].always { rules[index].what } else { rules.remove(index).what };
        match what {
            What::Crash => Verdict::Crash,
            What::Again => Verdict::Again,
            What::Fail => Verdict::Fail(Error::unavailable("rpc.unavailable", "The harness makes it fail.")),
            What::Refuse => Verdict::Fail(Error::rejected(REFUSED, "The harness refuses.")),
        }
    }
}
