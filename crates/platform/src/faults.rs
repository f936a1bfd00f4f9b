//! Where a simulation puts faults into the platform: named points, each asked whether something goes wrong there now.
//!
//! In production nobody is there to ask: a [`Seam`] is empty, and a point costs one comparison. The points of the
//! database stand in `merx-sql` (`FaultPoint`); what goes wrong outside the shop (mails, webhooks, the provider) is put
//! into the doubles a simulation gives it.

use std::{sync::Arc, time::Duration};

use merx_contracts::ids::SagaId;
use merx_kernel::Error;

use crate::saga::fault::{Fault, Point as At, Verdict};

/// A place where something can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// A delivery is lost; the fact comes again later.
    BusLost,
    /// A fact is delivered two to five times.
    BusRepeated,
    /// A fact is held back for up to half a second: facts of other subjects overtake it.
    BusReordered,
    /// A handler fails before it has done anything.
    BusFailsBefore,
    /// A handler fails after its effect, before it is known.
    BusFailsAfter,
    /// A relay dies between a fact's effect and the moment it is known to be done, with everything it had in hand.
    BusRelayDies,
    /// A call does not reach the other context.
    CallRefused,
    /// A call is carried out, its answer is lost.
    CallAnswerLost,
    /// A call takes up to two seconds on its way.
    CallSlow,
    /// A call is carried out, its answer comes after the deadline.
    CallLate,
    /// A call is carried out twice.
    CallTwice,
    /// A timer fires late.
    TimerLate,
    /// A timer fires twice.
    TimerTwice,
    /// A timer's handler fails before it has done anything.
    TimerFailsBefore,
    /// A timer's handler fails after its effect.
    TimerFailsAfter,
    /// The run of a saga dies before a step, an undo or its end.
    SagaDiesBefore,
    /// The run of a saga dies after a step, an undo, a record or its end.
    SagaDiesAfter,
    /// A step or an undo fails without having run.
    SagaFailsBefore,
    /// A step or an undo has run, its answer is lost.
    SagaFailsAfter,
    /// A step or an undo runs twice.
    SagaTwice,
}

impl Point {
    /// Every point.
    pub const ALL: &'static [Self] = &[
        Self::BusLost,
        Self::BusRepeated,
        Self::BusReordered,
        Self::BusFailsBefore,
        Self::BusFailsAfter,
        Self::BusRelayDies,
        Self::CallRefused,
        Self::CallAnswerLost,
        Self::CallSlow,
        Self::CallLate,
        Self::CallTwice,
        Self::TimerLate,
        Self::TimerTwice,
        Self::TimerFailsBefore,
        Self::TimerFailsAfter,
        Self::SagaDiesBefore,
        Self::SagaDiesAfter,
        Self::SagaFailsBefore,
        Self::SagaFailsAfter,
        Self::SagaTwice,
    ];

    /// The name in plans and reports; never changed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BusLost => "bus.lost",
            Self::BusRepeated => "bus.repeated",
            Self::BusReordered => "bus.reordered",
            Self::BusFailsBefore => "bus.fails_before",
            Self::BusFailsAfter => "bus.fails_after",
            Self::BusRelayDies => "bus.relay_dies",
            Self::CallRefused => "call.refused",
            Self::CallAnswerLost => "call.answer_lost",
            Self::CallSlow => "call.slow",
            Self::CallLate => "call.late",
            Self::CallTwice => "call.twice",
            Self::TimerLate => "timer.late",
            Self::TimerTwice => "timer.twice",
            Self::TimerFailsBefore => "timer.fails_before",
            Self::TimerFailsAfter => "timer.fails_after",
            Self::SagaDiesBefore => "saga.dies_before",
            Self::SagaDiesAfter => "saga.dies_after",
            Self::SagaFailsBefore => "saga.fails_before",
            Self::SagaFailsAfter => "saga.fails_after",
            Self::SagaTwice => "saga.twice",
        }
    }
}

/// Decides what goes wrong.
pub trait Faults: Send + Sync + 'static {
    /// Whether something goes wrong at `point` now; `of` names what passes it (a subscription, a context, a kind).
    fn strikes(&self, point: Point, of: &str) -> bool;
    /// How much of it: a number below `end`.
    fn amount(&self, point: Point, end: u64) -> u64;
}

/// The faults of a simulation, or nothing.
#[derive(Clone, Default)]
pub struct Seam(Option<Arc<dyn Faults>>);

impl Seam {
    /// Asks `faults` at every point.
    pub fn to(faults: Arc<dyn Faults>) -> Self {
        Self(Some(faults))
    }
    /// Whether nobody is there to ask.
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }
    /// Whether something goes wrong here now.
    pub fn strikes(&self, point: Point, of: &str) -> bool {
        self.0.as_ref().is_some_and(|faults| faults.strikes(point, of))
    }
    /// A number below `end`.
    pub fn amount(&self, point: Point, end: u64) -> u64 {
        self.0.as_ref().map_or(0, |faults| faults.amount(point, end.max(1)))
    }
    /// How long it takes if it strikes: some milliseconds, at most `most`.
    pub fn span(&self, point: Point, of: &str, most: Duration) -> Option<Duration> {
        let most_ms = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        self.strikes(point, of).then(|| Duration::from_millis(1 + self.amount(point, most_ms)))
    }
    /// The error of what passes here, if it strikes: one that is worth trying again.
    pub fn error(&self, point: Point, of: &str) -> Option<Error> {
        self.strikes(point, of).then(|| failure(point))
    }
}

impl std::fmt::Debug for Seam {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_empty() { "Seam(empty)" } else { "Seam(…)" })
    }
}

/// What a fault answers; its code tells it from every error of the shop's own.
fn failure(point: Point) -> Error {
    Error::unavailable(format!("fault.{}", point.name()), "A fault was put in here.")
}

/// The points of a saga, as its engine asks them.
impl Fault for Seam {
    fn at(&self, _: SagaId, point: &At) -> Verdict {
        let (of, before, acts) = match point {
            At::BeforeStep(step) | At::BeforeUndo(step) => (*step, true, true),
            At::AfterStep(step) | At::AfterUndo(step) => (*step, false, true),
            At::BeforeFinish => ("finish", true, false),
            At::AfterFinish => ("finish", false, false),
            At::AfterPivot => ("pivot", false, false),
            At::AfterRefusal => ("refusal", false, false),
        };
        let (dies, fails) = match before {
            true => (Point::SagaDiesBefore, Point::SagaFailsBefore),
            false => (Point::SagaDiesAfter, Point::SagaFailsAfter),
        };
        if self.strikes(dies, of) {
            return Verdict::Crash;
        }
        if acts && let Some(error) = self.error(fails, of) {
            return Verdict::Fail(error);
        }
        if acts && !before && self.strikes(Point::SagaTwice, of) {
            return Verdict::Again;
        }
        Verdict::Go
    }
}
