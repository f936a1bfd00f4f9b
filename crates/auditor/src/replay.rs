//! A3: the events are the truth.

use merx_kernel::Result;
use merx_platform::projection;

use crate::{Audit, Check};

/// A3: replaying all events gives the same read models.
pub(crate) async fn check(audit: &Audit) -> Result<Check> {
    let mut check = Check::new("A3", "replaying all events gives the same read models");
    for context in audit.contexts.iter().filter(|c| !c.projections.is_empty()) {
        let compared = projection::compare(
            &audit.db,
            audit.clock.clone(),
            &context.store,
            &context.migrations,
            &context.projections,
        );
        for comparison in compared.await? {
            for (live, rebuilt) in comparison.live.iter().zip(&comparison.rebuilt) {
                check.examined += live.rows;
                if live != rebuilt {
                    check.violation(format!(
                        "{}: {} has {} rows, {} when rebuilt from the events; their checksums differ",
                        comparison.projection, live.table, live.rows, rebuilt.rows
                    ));
                }
            }
        }
    }
    Ok(check)
}
