//! Imports of files beside the stream: a process each, done again from the beginning when it dies or the table did not take all.

use std::sync::Arc;

use tidemark_domain::control::Mode;
use tidemark_engine::End;
use tidemark_engine::import::HistoryImport;

use super::invoke::{Done, Invocation, Job};
use super::{Ablation, Run};
use crate::operator::Deed;
use crate::policies::OWN;
use crate::world::known::Judged;

/// Whoever imports again waits so long, ms.
const AGAIN_MS: i64 = 2_000;

impl Run {
    /// Begins to import a file under the policy in force.
    pub(super) fn import(&mut self, file: usize) {
        let (ports, life, name) = self.new_process("i");
        let version = self.world.with(|stores| {
            let version = stores.control.pointer.as_ref().map_or(OWN, |pointer| pointer.active);
            let version = if version == 0 { OWN } else { version };
            stores.known.files[file].policy_version = version;
            version
        });
        let (rows, batch_rows) = self.world.with(|stores| {
            let file = &stores.known.files[file];
            (file.rows.clone(), file.batch_rows.max(1))
        });
        self.world.note(format_args!(
            "{name} imports {} rows of file {file} by policy {version}",
            rows.len()
        ));
        ports.judge(Judged {
            policy_version: version,
            overrides_revision: 0,
            mode: Mode::Shadow,
            is_import: true,
        });
        let import = HistoryImport::new(ports.clone(), ports, &self.policies.all[&version]);
        let future = Box::pin(async move {
            let mut ends: Vec<Option<End>> = Vec::with_capacity(rows.len());
            for batch in rows.chunks(batch_rows) {
                let batch: Vec<&[u8]> = batch.iter().map(Arc::as_ref).collect();
                ends.extend(import.take(&batch).await.ends);
            }
            Done::Import(ends)
        });
        self.counts.imports += 1;
        self.start(Invocation {
            future,
            worker: None,
            life,
            job: Job::Import(file),
            times_out_at_ms: i64::MAX,
        });
    }

    /// An import has ended, or died: then nothing is known of its rows.
    pub(super) fn imported(&mut self, file: usize, ends: Vec<Option<End>>) {
        let whole: Option<Vec<End>> = ends
            .into_iter()
            .map(|end| end.filter(|end| !matches!(end, End::Returned(_))))
            .collect();
        let rows = self.world.with(|stores| stores.known.files[file].rows.len());
        let whole = whole.filter(|ends| ends.len() == rows);
        // An ablation: whoever broke off takes it for done.
        let whole = whole.or_else(|| {
            self.is_without(Ablation::ImportBrokenOff)
                .then(|| vec![End::Duplicate; rows])
        });
        match whole {
            Some(ends) => self.world.with(|stores| stores.known.files[file].ends = ends),
            None => {
                self.counts.imports_again += 1;
                let at_ms = self.world.now_ms() + AGAIN_MS;
                let place = self.deeds.partition_point(|(other_ms, _)| *other_ms <= at_ms);
                self.deeds.insert(place, (at_ms, Deed::Import(file)));
            }
        }
    }
}
