//! What lists and details say.

use merx_contracts::ids::{MessageId, SagaId};
use merx_kernel::{Error, Id, Result, Timestamp};
use merx_platform::{
    saga::{Refusal, SagaRow, StepView},
    store::{DeliveryRow, DroppedLetter, TimerRow},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A list, and whether there is more than it shows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listed<T> {
    /// The lines.
    pub items: Vec<T>,
    /// There are more than were asked for.
    pub more: bool,
}

impl<T> Listed<T> {
    /// Of at most `rows` less one lines; one more says that there are more.
    pub(super) fn of(mut items: Vec<T>, rows: i64) -> Self {
        let most = usize::try_from(rows - 1).unwrap_or(usize::MAX);
        let more = items.len() > most;
        items.truncate(most);
        Self { items, more }
    }
}

/// A saga.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SagaLine {
    /// Its identity.
    pub id: SagaId,
    /// The context it runs in.
    pub context: String,
    /// Its name.
    pub name: String,
    /// `running`, `compensating`, `waiting`, `stuck`, `done`, `abandoned`.
    pub status: String,
    /// Failures in a row.
    pub failures: i64,
    /// When it goes on by itself.
    pub next_attempt_at: Option<Timestamp>,
    /// What holds it up.
    pub problem: Option<String>,
    /// When it started.
    pub created_at: Timestamp,
}

impl SagaLine {
    pub(super) fn of(context: &str, row: SagaRow) -> Self {
        Self {
            id: row.id,
            context: context.to_owned(),
            name: row.name,
            status: row.status.name().to_owned(),
            failures: row.failures,
            next_attempt_at: row.next_attempt_at,
            problem: row.problem,
            created_at: row.created_at,
        }
    }
}

/// One step of a saga.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StepLine {
    /// Its name.
    pub name: String,
    /// Whether it has an undo.
    pub undoable: bool,
    /// Whether nothing is undone any more once it is done.
    pub pivot: bool,
    /// Whether it is the one that refused.
    pub refused: bool,
}

/// A saga with all that its log says of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SagaDetail {
    /// As in a list.
    #[serde(flatten)]
    pub line: SagaLine,
    /// The version it was started with.
    pub version: i64,
    /// What its steps need to know: ids and amounts.
    pub data: Value,
    /// Whether the pivot is behind it: nothing is undone any more.
    pub pivot_passed: bool,
    /// The code of the refusal that turned it back.
    pub refusal_code: Option<String>,
    /// The refusal's sentence.
    pub refusal_message: Option<String>,
    /// Its steps; absent when this program does not know its kind and version.
    pub steps: Option<Vec<StepLine>>,
    /// The trace it belongs to.
    pub traceparent: Option<String>,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl SagaDetail {
    pub(super) fn of(context: &str, row: SagaRow, steps: Option<Vec<StepView>>) -> Result<Self> {
        let data = serde_json::from_str(&row.data)
            .map_err(|e| Error::internal("the data of a saga is not JSON").with_source(e))?;
        let (step, code, message) = match row.refusal.clone() {
            Some(Refusal { step, code, message }) => (Some(step), Some(code), Some(message)),
            None => (None, None, None),
        };
        let line = |view: StepView| StepLine {
            name: view.name.to_owned(),
            undoable: view.undoable,
            pivot: view.pivot,
            refused: step.as_deref() == Some(view.name),
        };
        Ok(Self {
            version: row.version,
            data,
            pivot_passed: row.pivot_passed,
            refusal_code: code,
            refusal_message: message,
            steps: steps.map(|steps| steps.into_iter().map(line).collect()),
            traceparent: row.traceparent.clone(),
            updated_at: row.updated_at,
            line: SagaLine::of(context, row),
        })
    }
}

/// A message that could not be handled.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeadLetterLine {
    /// Who could not handle it.
    pub subscription: String,
    /// Its identity.
    pub message: MessageId,
    /// Its type.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// What went wrong: an error's code.
    pub problem: String,
    /// How often it was tried.
    pub tries: i64,
    /// Why it was dropped, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped_at: Option<Timestamp>,
}

impl DeadLetterLine {
    pub(super) fn of(row: DeliveryRow) -> Self {
        Self {
            subscription: row.subscription,
            message: row.message,
            kind: row.kind,
            subject: row.subject,
            problem: row.problem,
            tries: row.tries,
            reason: None,
            dropped_at: None,
        }
    }

    pub(super) fn of_dropped(dropped: DroppedLetter) -> Self {
        Self {
            reason: Some(dropped.reason),
            dropped_at: Some(dropped.dropped_at),
            ..Self::of(dropped.letter)
        }
    }
}

/// A message that is held up, with what is in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeadLetterDetail {
    /// As in a list.
    #[serde(flatten)]
    pub line: DeadLetterLine,
    /// `waiting`, `dead` or `dropped`.
    pub state: String,
    /// Who published it.
    pub publisher: String,
    /// Where it stood in the publisher's outbox.
    pub position: i64,
    /// When it was tried last, or is tried next.
    pub next_at: Timestamp,
    /// The envelope: JSON, or as text what should be.
    pub envelope: Value,
}

impl DeadLetterDetail {
    pub(super) fn of(row: DeliveryRow, dropped: Option<DroppedLetter>) -> Self {
        // What cannot be read may be the very reason why it is here.
        let envelope =
            serde_json::from_str(&row.envelope).unwrap_or_else(|_| Value::String(row.envelope.clone()));
        Self {
            state: row.state.name().to_owned(),
            publisher: row.publisher.clone(),
            position: row.position,
            next_at: row.next_at,
            envelope,
            line: dropped.map_or_else(|| DeadLetterLine::of(row), DeadLetterLine::of_dropped),
        }
    }
}

/// A durable timer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TimerLine {
    /// Whose it is.
    pub context: String,
    /// What it is for.
    pub kind: String,
    /// For whom: the 26 characters of an id without its prefix.
    pub key: String,
    /// When it is due.
    pub due_at: Timestamp,
    /// When it is tried next; later than `due_at` after a failure.
    pub next_at: Timestamp,
    /// How often it fired and failed.
    pub tries: i64,
}

impl TimerLine {
    pub(super) fn of(context: &str, row: TimerRow) -> Self {
        Self {
            context: context.to_owned(),
            kind: row.kind,
            key: Id::<()>::from_bits(row.key).bare(),
            due_at: row.due_at,
            next_at: row.next_at,
            tries: row.tries,
        }
    }
}
