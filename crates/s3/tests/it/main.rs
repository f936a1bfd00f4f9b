//! The driver against AWS's published signatures, against a server of its own that misbehaves, and against a real one
//! that verifies signatures. Without the real one its trials are reported as NOT RUN.

mod contract;
mod faults;
mod signatures;

fn main() -> std::process::ExitCode {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = [signatures::trials(), faults::trials(), contract::trials()];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}

/// A store at `endpoint`.
fn store(url: &str, id: &str, secret: &str) -> merx_s3::S3Store {
    let config = merx_platform::objects::ObjectsConfig {
        url: Some(url.to_owned()),
        access_key_id: Some(merx_kernel::Secret::new(id.to_owned())),
        secret_access_key: Some(merx_kernel::Secret::new(secret.to_owned())),
        ..Default::default()
    };
    let clock = std::sync::Arc::new(merx_platform::time::SystemClock);
    let entropy = std::sync::Arc::new(merx_platform::time::OsEntropy);
    merx_s3::S3Store::open(&config, clock, entropy).expect("opens")
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work)
}
