//! `docs/order-states.md` is the table of the code.

use crate::plain;
use std::path::Path;

use merx_ordering::domain::transitions;

fn order_states_page_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/order-states.md");
    let text = transitions::markdown();
    if std::env::var_os("MERX_REGENERATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        page == text,
        "docs/order-states.md is not what the code says; write it again with\n  \
         MERX_REGENERATE=1 cargo test -p merx-ordering --test it order_states"
    );
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    plain!["order_states": order_states_page_is_the_table]
}
