//! Kills processes of the function at random moments.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use lab::dice::Dice;
use localcloud::Function;
use terminal::clock::pause;
use tokio::task::JoinHandle;

/// The longest wait before a kill, in milliseconds. A cold start and a batch together take about as long, so kills strike in
/// both.
const WAIT_MS_MAX: u64 = 120;
/// Looks for a process to kill at most, for each kill that is asked for.
const LOOKS_A_KILL_MAX: u64 = 100;
/// The dice's stream, apart from the simulation's.
const LANE: u64 = 0x4b69_6c6c;

/// Sends SIGKILL to the processes of a function, as often as asked for, one after the other.
#[derive(Debug)]
pub struct Killer {
    stop: Arc<AtomicBool>,
    kills: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Killer {
    /// Begins. The seed decides the waits and which of the processes.
    #[must_use]
    pub fn start(function: Function, seed: u64, wanted: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let kills = Arc::new(AtomicU64::new(0));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&kills));
        let task = tokio::spawn(async move {
            let mut dice = Dice::new(seed, LANE);
            for _ in 0..wanted.saturating_mul(LOOKS_A_KILL_MAX) {
                if stopped.load(Ordering::Relaxed) || count.load(Ordering::Relaxed) >= wanted {
                    return;
                }
                pause(1 + dice.any() % WAIT_MS_MAX).await;
                let pids = function.pids();
                let chosen = usize::try_from(dice.any() % (pids.len().max(1) as u64)).unwrap_or_default();
                if pids.get(chosen).is_some_and(|pid| function.kill(*pid)) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { stop, kills, task }
    }

    /// How many processes it has killed so far.
    #[must_use]
    pub fn kills(&self) -> u64 {
        self.kills.load(Ordering::Relaxed)
    }

    /// Ends it; answers how many processes it killed.
    pub async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.task.await;
        self.kills.load(Ordering::Relaxed)
    }
}
