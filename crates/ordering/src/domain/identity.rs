//! Identities of effects, derived from their causes, so that a repeated try carries the same one (design, the
//! one sentence).

use aws_lc_rs::digest::{SHA256, digest};
use merx_contracts::ids::{AfterSaleId, AttemptId, OrderId, RefundId, ReservationId};
use merx_kernel::Id;

/// The one refund of an attempt's money: the first 128 bits of a SHA-256 over purpose, order and attempt.
pub fn refund_of(order: OrderId, attempt: AttemptId) -> RefundId {
    Id::from_bits(fingerprint_bits(&[b"refund", &order.to_bytes(), &attempt.to_bytes()]))
}

/// The refund of what an attempt brought above what was kept of it; what was kept may still go back under [`refund_of`].
pub fn surplus_refund_of(order: OrderId, attempt: AttemptId) -> RefundId {
    Id::from_bits(fingerprint_bits(&[b"surplus refund", &order.to_bytes(), &attempt.to_bytes()]))
}

/// The refund of what goes back of an attempt's money for an after-sale case.
pub fn after_sale_refund_of(case: AfterSaleId, attempt: AttemptId) -> RefundId {
    Id::from_bits(fingerprint_bits(&[b"after-sale refund", &case.to_bytes(), &attempt.to_bytes()]))
}

/// The reservation under which stock is set aside anew when the late money of an attempt is to revive its order: the first
/// one was let go for good.
pub fn reservation_of(order: OrderId, attempt: AttemptId) -> ReservationId {
    Id::from_bits(fingerprint_bits(&[b"revival", &order.to_bytes(), &attempt.to_bytes()]))
}

/// The first 128 bits of a SHA-256 over the parts, each with its length before it.
pub fn fingerprint_bits(parts: &[&[u8]]) -> u128 {
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&hash(parts)[..16]);
    u128::from_be_bytes(bytes)
}

/// A SHA-256 over the parts, each with its length before it, in hexadecimal.
pub fn fingerprint_hex(parts: &[&[u8]]) -> String {
    hash(parts).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hash(parts: &[&[u8]]) -> Vec<u8> {
    let mut text = Vec::new();
    for part in parts {
        text.extend_from_slice(&(part.len() as u64).to_be_bytes());
        text.extend_from_slice(part);
    }
    digest(&SHA256, &text).as_ref().to_vec()
}
