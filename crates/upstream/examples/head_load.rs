//! Asks one registry for one tag by HEAD, again and again, and prints requests per second and processor time per
//! request: what a recheck costs. `head_load URL REPOSITORY TAG [SECONDS] [AT ONCE]`; run it in release.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its figures and has nobody to report to"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use oci::{ManifestSelector, Name, RegistryHost, Tag};
use upstream::{Client, Settings, UpstreamSettings};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap().parse().unwrap();
    let repository = arguments.next().unwrap();
    let tag = ManifestSelector::Tag(Tag::parse(&arguments.next().unwrap()).unwrap());
    let seconds = arguments.next().map_or(3, |seconds| seconds.parse().unwrap());
    let at_once: usize = arguments.next().map_or(16, |count| count.parse().unwrap());

    let host = RegistryHost::canonicalize("load.alt").unwrap();
    let name = Name::new(host.clone(), &repository).unwrap();
    let upstream = UpstreamSettings { url: Some(url), ..UpstreamSettings::default() };
    let settings = Settings { upstreams: [(host, upstream)].into(), ..Settings::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let asked = Arc::new(AtomicU64::new(0));
    let (began, spent) = (Instant::now(), processor_time());
    runtime.block_on(async {
        let client = Client::new(settings).unwrap();
        let until = began + Duration::from_secs(seconds);
        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..at_once {
            let (client, name, tag, asked) = (client.clone(), name.clone(), tag.clone(), Arc::clone(&asked));
            workers.spawn(async move {
                while Instant::now() < until {
                    client.head_manifest(&name, &tag).await.unwrap().digest.unwrap();
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        workers.join_all().await;
    });
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let asked = asked.load(Ordering::Relaxed) as f64;
    let (took, spent) = (began.elapsed(), processor_time() - spent);
    println!(
        "HEAD, {at_once} at once: {:.0}/s, {:.1} us of processor time each",
        asked / took.as_secs_f64(),
        spent.as_secs_f64() * 1e6 / asked
    );
}

/// Of this process so far, user and system (proc_pid_stat(5)).
fn processor_time() -> Duration {
    const TICKS_PER_SECOND: u64 = 100;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND)
}
