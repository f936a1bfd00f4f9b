//! The tables, on every mode of the database.

use std::time::Duration;

use libtest_mimic::Trial;
use merx_kernel::Id;
use merx_platform::store::{DeliveryRow, DeliveryState, TimerId};
use merx_sql::params;

use crate::world::{START, World, facts, on_every_mode};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode("store: the outbox is read in order, page by page", outbox_pages),
        on_every_mode("store: one statement publishes many facts", outbox_statement),
        on_every_mode("store: the inbox knows (subscription, message)", inbox_identity),
        on_every_mode("store: a cursor never goes back", cursors),
        on_every_mode("store: held deliveries keep their order", deliveries),
        on_every_mode("store: one timer of a name", timers),
        on_every_mode("store: migrations are applied once", migrations),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn outbox_pages(mut world: World) {
    world.live(|life| async move {
        let background = life.start(Vec::new());
        let ids = life.publish(&facts(3, 4)).await;
        let outbox = life.publisher.outbox;
        let mut numbered = life.db().listen(&outbox.channel());
        // Where positions come after the commit, they come soon.
        while life.db().read("test.unnumbered", move |q| outbox.unnumbered(q)).await.expect("a count") > 0 {
            numbered.changed().await;
        }
        let (mut position, mut read) = (0, Vec::new());
        loop {
            let rows =
                life.db().read("test.read", move |q| outbox.read_after(q, position, 5)).await.expect("rows");
            let Some(last) = rows.last() else { break };
            assert!(rows.len() <= 5 && rows[0].position > position);
            position = last.position;
            read.extend(rows.into_iter().map(|row| row.id));
        }
        assert_eq!(read, ids);
        let last = life.db().read("test.last", move |q| outbox.last_position(q)).await.expect("a position");
        assert_eq!(last, position);
        assert_eq!(background.settled().await.expect("settled").next_at, None, "nobody wants them");
    });
}

fn outbox_statement(mut world: World) {
    world.live(|life| async move {
        let envelopes: Vec<_> = facts(10, 1).iter().map(|fact| life.envelope(fact)).collect();
        let outbox = life.publisher.outbox;
        let (publish, nothing) = (envelopes.clone(), Vec::new());
        life.db().write("test.publish", move |tx| outbox.publish(tx, &publish)).await.expect("published");
        life.db()
            .write("test.nothing", move |tx| outbox.publish(tx, &nothing))
            .await
            .expect("nothing to publish");
        let stats = life.db().stats();
        assert_eq!(stats.labels["test.publish"].write_statements, 1);
        assert_eq!(stats.labels["test.nothing"].write_statements, 0);
        let twice = life.db().write("test.twice", move |tx| outbox.publish(tx, &envelopes)).await;
        assert!(twice.expect_err("a message is published once").is("sql.duplicate"));
    });
}

fn inbox_identity(mut world: World) {
    world.live(|life| async move {
        let inbox = life.subscriber.inbox;
        let answers = life
            .db()
            .write("test.inbox", move |tx| {
                [("a", 1), ("a", 2), ("b", 1), ("a", 1), ("b", 1)]
                    .into_iter()
                    .map(|(subscription, message)| {
                        inbox.first_time(tx, subscription, Id::from_bits(message), START)
                    })
                    .collect::<merx_kernel::Result<Vec<bool>>>()
            })
            .await;
        assert_eq!(answers.expect("answers"), [true, true, true, false, false]);
        let later = START.plus(Duration::from_secs(1));
        let pruned = life
            .db()
            .write("test.prune", move |tx| Ok((inbox.prune(tx, START, 10)?, inbox.prune(tx, later, 10)?)))
            .await;
        assert_eq!(pruned.expect("pruned"), (0, 3));
    });
}

fn cursors(mut world: World) {
    world.live(|life| async move {
        let cursors = life.subscriber.cursors;
        let all = life
            .db()
            .write("test.cursors", move |tx| {
                cursors.advance(tx, "sub.a", "pub", 10, START)?;
                cursors.advance(tx, "sub.a", "pub", 7, START)?;
                cursors.advance(tx, "sub.a", "other", 3, START)?;
                cursors.advance(tx, "sub.a", "pub", 12, START)?;
                cursors.advance(tx, "sub.a", "pub", 12, START)?;
                cursors.all(tx)
            })
            .await
            .expect("cursors");
        let all: Vec<_> =
            all.iter().map(|((name, publisher), at)| (name.as_str(), publisher.as_str(), *at)).collect();
        assert_eq!(all, [("sub.a", "other", 3), ("sub.a", "pub", 12)]);
    });
}

fn deliveries(mut world: World) {
    world.live(|life| async move {
        let row = |message: u128, subject: &str, position: i64, next: u64| DeliveryRow {
            subscription: "sub.a".to_owned(),
            message: Id::from_bits(message),
            publisher: "pub".to_owned(),
            position,
            kind: "pub.happened.v1".to_owned(),
            subject: subject.to_owned(),
            envelope: "{}".to_owned(),
            state: DeliveryState::Waiting,
            tries: 1,
            next_at: START.plus(Duration::from_secs(next)),
            problem: String::new(),
        };
        let rows = [row(1, "x", 30, 5), row(2, "x", 20, 9), row(3, "y", 25, 1), row(4, "y", 40, 2)];
        let deliveries = life.subscriber.deliveries;
        life.db()
            .write("test.deliveries", move |tx| {
                rows.iter().try_for_each(|row| deliveries.put(tx, row))?;
                let keys = deliveries.waiting_keys(tx, "sub.a", "pub")?;
                let at = |seconds| START.plus(Duration::from_secs(seconds));
                assert_eq!(keys, [("x".to_owned(), at(9)), ("y".to_owned(), at(1))], "the first of each");
                let first = deliveries.first_waiting(tx, "sub.a", "pub", "x")?.expect("a row");
                assert_eq!((first.message, first.position), (Id::from_bits(2), 20));
                let known = deliveries.positions_after(tx, "sub.a", "pub", 25)?;
                assert_eq!(known.into_iter().collect::<Vec<_>>(), [30, 40]);

                let dead = DeliveryRow { state: DeliveryState::Dead, tries: 8, ..first };
                deliveries.put(tx, &dead)?;
                let next = deliveries.first_waiting(tx, "sub.a", "pub", "x")?.expect("a row");
                assert_eq!(next.message, Id::from_bits(1), "the dead one is out of the way");
                assert_eq!(deliveries.list(tx, DeliveryState::Dead, 9)?.len(), 1);
                assert!(
                    !deliveries.redrive(tx, "sub.a", Id::from_bits(1), START)?,
                    "only the dead are driven again"
                );
                assert!(deliveries.redrive(tx, "sub.a", Id::from_bits(2), START)?);
                deliveries.remove(tx, "sub.a", Id::from_bits(2))?;
                assert_eq!(deliveries.count(tx, DeliveryState::Waiting)?, 3);
                assert_eq!(deliveries.count(tx, DeliveryState::Dead)?, 0);
                Ok(())
            })
            .await
            .expect("deliveries");
    });
}

fn timers(mut world: World) {
    world.live(|life| async move {
        let timers = life.subscriber.timers;
        let one = TimerId { kind: "one", key: 1 };
        let at = |seconds| START.plus(Duration::from_secs(seconds));
        life.db()
            .write("test.timers", move |tx| {
                timers.schedule(tx, one, at(10))?;
                timers.schedule(tx, TimerId { key: 2, ..one }, at(5))?;
                timers.schedule(tx, one, at(3))?;
                let next = timers.next(tx, &["one", "two"], 9)?;
                assert_eq!(next.iter().map(|row| row.key).collect::<Vec<_>>(), [1, 2]);
                assert_eq!(timers.next(tx, &["two"], 9)?, []);

                timers.put_off(tx, &next[0], 1, at(60))?;
                let put_off = timers.find(tx, one)?.expect("a timer");
                assert_eq!((put_off.due_at, put_off.next_at, put_off.tries), (at(3), at(60), 1));
                assert_eq!((timers.failing(tx, 1)?, timers.failing(tx, 2)?), (1, 0));

                assert!(!timers.fired(tx, "one", 1, at(10))?, "it was set to another time since");
                assert!(timers.fired(tx, "one", 1, at(3))?);
                assert!(!timers.fired(tx, "one", 1, at(3))?);
                timers.cancel(tx, TimerId { key: 2, ..one })?;
                assert_eq!(timers.find(tx, TimerId { key: 2, ..one })?, None);
                Ok(())
            })
            .await
            .expect("timers");
    });
}

fn migrations(mut world: World) {
    for _ in 0..2 {
        world.live(|life| async move {
            for module in life.modules(Vec::new(), Vec::new()) {
                module.migrate(life.db()).await.expect("a second time");
            }
            let wrong =
                life.db().write("test.table", |tx| tx.execute("DELETE FROM sub_outbox", params![])).await;
            assert_eq!(wrong.expect("the table is there"), 0);
        });
    }
}
