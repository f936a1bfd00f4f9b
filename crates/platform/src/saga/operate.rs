//! What an operator may see and do.

use merx_contracts::ids::SagaId;
use merx_kernel::{Error, Result};

use super::{Running, SagaEngine, SagaRow, SagaStatus, machine::PlannedStep};
use crate::store::SagaFilter;

/// The most sagas of one list.
const LIST_MAX: i64 = 1_000;

/// One step of a saga, for an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepView {
    /// Its name.
    pub name: &'static str,
    /// Whether it has an undo.
    pub undoable: bool,
    /// Whether nothing is undone any more once it is done.
    pub pivot: bool,
}

impl SagaEngine {
    /// At most `limit` (1,000 at the most) sagas that `filter` wants, the newest first.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn search(
        &self,
        filter: SagaFilter,
        before: Option<SagaId>,
        limit: i64,
    ) -> Result<Vec<SagaRow>> {
        let log = self.0.deps.log;
        self.0
            .deps
            .db
            .read("saga.list", move |q| log.search(q, &filter, before, limit.clamp(1, LIST_MAX)))
            .await
    }

    /// As [`Self::search`], by status alone.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn list(
        &self,
        status: Option<SagaStatus>,
        before: Option<SagaId>,
        limit: i64,
    ) -> Result<Vec<SagaRow>> {
        let filter = SagaFilter { statuses: status.into_iter().collect(), name: None };
        self.search(filter, before, limit).await
    }

    /// The steps of a saga in their order, with what the engine knows of them; `None` when this program does not know
    /// its kind.
    pub fn steps(&self, row: &SagaRow) -> Option<Vec<StepView>> {
        let plan = self.0.kind(&row.name, row.version)?.plan();
        let view = |(at, step): (usize, &PlannedStep)| StepView {
            name: step.name,
            undoable: step.undoable,
            pivot: plan.pivot == Some(at),
        };
        Some(plan.steps.iter().enumerate().map(view).collect())
    }

    /// One saga.
    ///
    /// # Errors
    /// `NotFound` `saga.not_found`; what the database answers.
    pub async fn find(&self, id: SagaId) -> Result<SagaRow> {
        let log = self.0.deps.log;
        let found = self.0.deps.db.read("saga.find", move |q| log.find(q, id)).await?;
        found.ok_or_else(|| Error::not_found("saga.not_found", format!("There is no saga {id}.")))
    }

    /// An operator's retry: failures are forgotten and the saga goes on now.
    ///
    /// # Errors
    /// `saga.not_found`; `Conflict` `saga.closed` when it has ended; what the database answers.
    pub async fn retry(&self, id: SagaId) -> Result<Running> {
        self.find(id).await?;
        let (log, now) = (self.0.deps.log, self.0.deps.clock.now());
        if !self.0.deps.db.write("saga.retry", move |tx| log.retry(tx, id, now)).await? {
            return Err(closed(id));
        }
        tracing::warn!(saga_id = %id, "an operator retries a saga");
        Ok(self.resume(id))
    }

    /// An operator gives a saga up: nothing more is done or undone by it.
    ///
    /// # Errors
    /// `saga.not_found`; `Conflict` `saga.closed` when it has ended, `saga.active` while it is under way; what the
    /// database answers.
    pub async fn abandon(&self, id: SagaId) -> Result<()> {
        self.find(id).await?;
        if self.is_active(id) {
            return Err(Error::conflict("saga.active", format!("Saga {id} is under way at this moment.")));
        }
        let (log, now) = (self.0.deps.log, self.0.deps.clock.now());
        if !self.0.deps.db.write("saga.abandon", move |tx| log.abandon(tx, id, now)).await? {
            return Err(closed(id));
        }
        tracing::warn!(saga_id = %id, "an operator abandoned a saga");
        Ok(())
    }
}

fn closed(id: SagaId) -> Error {
    Error::conflict("saga.closed", format!("Saga {id} has ended."))
}
