//! Holding a line of a provider's bill against our record and our ledger, pure.

use merx_contracts::ids::{AttemptId, PaymentId, RefundId};
use merx_kernel::{Money, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a line of a bill is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BillKind {
    /// A buyer paid.
    Capture,
    /// Money went back.
    Refund,
}

impl BillKind {
    /// The stored and public name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Refund => "refund",
        }
    }
}

/// A line of a bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillLine {
    /// What it is of.
    pub kind: BillKind,
    /// Our number for the attempt, as the provider has it.
    pub order_number: String,
    /// Our number for the refund; empty for a capture.
    pub request_number: String,
    /// The provider's number of the trade.
    pub trade_no: String,
    /// What was moved, above zero.
    pub amount: Money,
    /// What it cost us; below zero where it was given back.
    pub fee: Money,
    /// When.
    pub at: Timestamp,
}

/// What we know of the capture or refund a line names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ours {
    /// The payment.
    pub payment_id: PaymentId,
    /// The attempt.
    pub attempt_id: AttemptId,
    /// The refund.
    pub refund_id: Option<RefundId>,
    /// How much; `None` when it has not been captured, or not gone back, for all we know.
    pub amount: Option<Money>,
    /// The provider's number of the trade, as it was told when it was captured.
    pub trade_no: Option<String>,
    /// What the ledger has at the provider's account for it, above zero for a refund too.
    pub ledger_minor: i64,
}

/// What does not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// The provider took money that we know nothing of.
    CaptureUnknownHere,
    /// We booked money that the provider does not have on its bill.
    CaptureMissingThere,
    /// The provider took another amount.
    CaptureAmountDiffers,
    /// The provider gave money back that we know nothing of, or think is still here.
    RefundUnknownHere,
    /// We booked a refund that the provider does not have on its bill.
    RefundMissingThere,
    /// The provider gave back another amount.
    RefundAmountDiffers,
    /// The fee is not what was agreed.
    FeeDiffers,
    /// The provider names another trade than it named when it was paid.
    TradeNumberDiffers,
    /// The same line a second time, on this bill or another.
    LineRepeated,
    /// Our record and our ledger do not agree.
    LedgerDiffers,
}

impl DifferenceKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::CaptureUnknownHere,
        Self::CaptureMissingThere,
        Self::CaptureAmountDiffers,
        Self::RefundUnknownHere,
        Self::RefundMissingThere,
        Self::RefundAmountDiffers,
        Self::FeeDiffers,
        Self::TradeNumberDiffers,
        Self::LineRepeated,
        Self::LedgerDiffers,
    ];

    /// The stored and public name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CaptureUnknownHere => "capture_unknown_here",
            Self::CaptureMissingThere => "capture_missing_there",
            Self::CaptureAmountDiffers => "capture_amount_differs",
            Self::RefundUnknownHere => "refund_unknown_here",
            Self::RefundMissingThere => "refund_missing_there",
            Self::RefundAmountDiffers => "refund_amount_differs",
            Self::FeeDiffers => "fee_differs",
            Self::TradeNumberDiffers => "trade_number_differs",
            Self::LineRepeated => "line_repeated",
            Self::LedgerDiffers => "ledger_differs",
        }
    }
    /// Reads [`Self::as_str`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }
    /// What is missing on the provider's bill.
    pub const fn missing_there(kind: BillKind) -> Self {
        match kind {
            BillKind::Capture => Self::CaptureMissingThere,
            BillKind::Refund => Self::RefundMissingThere,
        }
    }
}

/// Something that does not agree, with both sides of it in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What.
    pub kind: DifferenceKind,
    /// Here.
    pub ours: Option<i64>,
    /// There.
    pub theirs: Option<i64>,
}

/// What the provider keeps of every payment, and gives back of every refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeRate {
    /// Hundredths of a percent.
    pub basis_points: u32,
}

impl FeeRate {
    /// The fee of an amount, half a minor unit rounded up.
    pub fn of(self, amount: Money) -> Money {
        let minor = (i128::from(amount.minor) * i128::from(self.basis_points) + 5_000).div_euclid(10_000);
        Money::new(i64::try_from(minor).unwrap_or(i64::MAX), amount.currency)
    }
}

/// Where a line does not agree with what we know of it.
pub fn judge(line: &BillLine, ours: Option<&Ours>, rate: FeeRate) -> Vec<Difference> {
    let (unknown, amount_differs) = match line.kind {
        BillKind::Capture => (DifferenceKind::CaptureUnknownHere, DifferenceKind::CaptureAmountDiffers),
        BillKind::Refund => (DifferenceKind::RefundUnknownHere, DifferenceKind::RefundAmountDiffers),
    };
    let theirs = Some(line.amount.minor);
    let known = ours.and_then(|ours| Some((ours, ours.amount?)));
    let Some((ours, amount)) = known else {
        return vec![Difference { kind: unknown, ours: None, theirs }];
    };
    let mut found = Vec::new();
    let mut differs =
        |kind, ours, theirs| found.push(Difference { kind, ours: Some(ours), theirs: Some(theirs) });
    if amount != line.amount {
        differs(amount_differs, amount.minor, line.amount.minor);
    }
    if ours.ledger_minor != amount.minor {
        differs(DifferenceKind::LedgerDiffers, amount.minor, ours.ledger_minor);
    }
    if ours.trade_no.as_ref().is_some_and(|trade_no| *trade_no != line.trade_no) {
        differs(DifferenceKind::TradeNumberDiffers, amount.minor, line.amount.minor);
    }
    let fee = rate.of(line.amount).minor * if line.kind == BillKind::Refund { -1 } else { 1 };
    if fee != line.fee.minor {
        differs(DifferenceKind::FeeDiffers, fee, line.fee.minor);
    }
    found
}
