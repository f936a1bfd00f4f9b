use libtest_mimic::Trial;
use merx_platform::{
    time::SeededEntropy,
    trace::{self, TraceContext},
};

use crate::paused::{paused, plain, tasks};

pub fn trials() -> Vec<Trial> {
    vec![
        plain("trace: traceparent is read as the standard says", parsing),
        paused("trace: a scope is the task's, and tasks carry it on", scopes),
    ]
}

const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn parsing() {
    let context: TraceContext = GOOD.parse().expect("is good");
    assert_eq!(context.to_string(), GOOD);
    assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    let later = format!("cc{}-what-comes", &GOOD[2..]);
    assert_eq!(later.parse::<TraceContext>().map(|c| c.to_string()).as_deref(), Ok(GOOD));
    let unsampled = format!("{}00", &GOOD[..GOOD.len() - 2]);
    assert_eq!(unsampled.parse::<TraceContext>().map(|c| c.to_string()), Ok(unsampled));
    let zero = "0".repeat(32);
    for bad in [
        "",
        "00",
        &GOOD.to_uppercase(),
        &GOOD[..GOOD.len() - 1],
        &format!("{GOOD}-x"),
        &format!("ff{}", &GOOD[2..]),
        &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &zero),
        &GOOD.replace("00f067aa0ba902b7", &zero[..16]),
        &GOOD.replace('4', "+"),
    ] {
        assert!(bad.parse::<TraceContext>().is_err(), "{bad}");
    }
    let entropy = SeededEntropy::new(1);
    let made = TraceContext::new(&entropy);
    assert_eq!(made.to_string().parse(), Ok(made));
    let child = made.child(&entropy);
    assert_eq!(child.trace_id(), made.trace_id());
    assert_ne!(child, made);
}

async fn scopes() {
    let context: TraceContext = GOOD.parse().expect("is good");
    assert_eq!(trace::current(), None);
    let tasks = tasks();
    trace::scope(Some(context), async {
        assert_eq!(trace::current_traceparent().as_deref(), Some(GOOD));
        let inside = tasks.spawn("inside", async { trace::current() }).await.expect("ends");
        assert_eq!(inside, Some(context));
        let command = tasks.run_command("command", async { Ok(trace::current()) }).await.expect("ends");
        assert_eq!(command, Some(context));
        assert_eq!(trace::scope(None, async { trace::current() }).await, None);
        assert_eq!(trace::current(), Some(context));
    })
    .await;
    assert_eq!(trace::current(), None);
}
