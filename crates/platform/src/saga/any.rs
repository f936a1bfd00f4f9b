//! Sagas of every kind behind one type, for the engine.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use merx_contracts::ids::SagaId;
use merx_kernel::{Error, Result};

use super::{
    End, Saga, SagaRun, StepOutcome,
    machine::{Plan, PlannedStep},
};

/// A kind of saga whose data type is hidden.
pub trait AnySaga: Send + Sync {
    /// Its name in the log.
    fn name(&self) -> &'static str;
    /// Its version.
    fn version(&self) -> i64;
    /// Its steps, as the rules see them.
    fn plan(&self) -> Plan;
    /// One saga of this kind, with its data read.
    ///
    /// # Errors
    /// `Internal` when the data cannot be read.
    fn open(self: Arc<Self>, id: SagaId, data: &str) -> Result<Box<dyn OpenSaga>>;
}

/// One saga of a kind.
pub trait OpenSaga: Send + Sync {
    /// Runs the action of a step.
    fn act(&self, step: usize) -> BoxFuture<'_, Result<StepOutcome>>;
    /// Undoes a step.
    fn undo(&self, step: usize) -> BoxFuture<'_, Result<StepOutcome>>;
    /// Writes the outcome.
    fn finish<'a>(&'a self, end: &'a End) -> BoxFuture<'a, Result<()>>;
}

impl<S: Saga> AnySaga for S {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn version(&self) -> i64 {
        S::VERSION
    }

    fn plan(&self) -> Plan {
        let steps =
            S::STEPS.iter().map(|s| PlannedStep { name: s.name, undoable: s.undo.is_some() }).collect();
        Plan { steps, pivot: S::STEPS.iter().position(|s| s.pivot) }
    }

    fn open(self: Arc<Self>, id: SagaId, data: &str) -> Result<Box<dyn OpenSaga>> {
        let data = serde_json::from_str(data).map_err(|e| {
            Error::internal(format!("the data of saga {} cannot be read", S::NAME)).with_source(e)
        })?;
        Ok(Box::new(Opened { saga: self, run: SagaRun { id, data } }))
    }
}

struct Opened<S: Saga> {
    saga: Arc<S>,
    run: SagaRun<S::Data>,
}

impl<S: Saga> OpenSaga for Opened<S> {
    fn act(&self, step: usize) -> BoxFuture<'_, Result<StepOutcome>> {
        match S::STEPS.get(step) {
            Some(step) => (step.action)(&self.saga, &self.run),
            None => absent(step),
        }
    }

    fn undo(&self, step: usize) -> BoxFuture<'_, Result<StepOutcome>> {
        match S::STEPS.get(step).and_then(|s| s.undo) {
            Some(undo) => undo(&self.saga, &self.run),
            None => absent(step),
        }
    }

    fn finish<'a>(&'a self, end: &'a End) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.saga.finish(&self.run, end))
    }
}

fn absent(step: usize) -> BoxFuture<'static, Result<StepOutcome>> {
    Box::pin(async move { Err(Error::internal(format!("the saga has no such step: {step}"))) })
}
