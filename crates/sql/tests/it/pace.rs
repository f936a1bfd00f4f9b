//! Who goes first.

use std::sync::{Arc, Mutex};

use crate::{
    Case, cases,
    fixture::{Door, FILE, Mode, Place, note, note_ids, options, start},
};

pub fn cases() -> Vec<Case> {
    cases![FILE => low_work_yields]
}

async fn low_work_yields(mode: Mode) {
    let db = Place::new(mode).with_notes(options()).await;
    let (door, inside) = (Door::new(mode), Door::new(mode));
    let (behind, entered) = (door.clone(), inside.clone());
    let order = Arc::new(Mutex::new(Vec::new()));
    let holder = {
        let db = db.clone();
        start(async move {
            db.write("hold", move |_| {
                entered.open();
                behind.pass();
                Ok(())
            })
            .await
        })
    };
    tokio::task::spawn_blocking(move || inside.pass()).await.unwrap();
    let mut all = Vec::new();
    for id in 0..6 {
        let (db, order) = (db.clone(), Arc::clone(&order));
        all.push(start(async move {
            let run = move |tx: &mut merx_sql::Tx<'_>| {
                order.lock().unwrap().push(id);
                note(tx, id)
            };
            if id < 3 { db.write_low("low", run).await } else { db.write("normal", run).await }
        }));
    }
    door.open();
    holder.await.unwrap();
    for one in all {
        one.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), [3, 4, 5, 0, 1, 2]);
    assert_eq!(note_ids(&db).await, [0, 1, 2, 3, 4, 5]);
}
