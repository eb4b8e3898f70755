//! A bucket in memory: names in their order, and what they hold.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use tidemark_engine::lock::lock;
use tidemark_engine::memory::ManualClock;
use tidemark_engine::port::Clock;

use super::script::{Op, Script};
use crate::object::KEYS_PREFIX;
use crate::port::{BucketAnswer, LetterBucket, ObjectInfo, ObjectPage};

/// Names of one page: few, so that tests see more than one page.
const PAGE_KEYS: usize = 3;

/// What each object holds, and when it was written, by their names.
type Objects = BTreeMap<String, (Vec<u8>, i64)>;

/// A bucket. Clones share its objects.
#[derive(Clone, Debug)]
pub struct MemoryBucket {
    objects: Arc<Mutex<Objects>>,
    clock: ManualClock,
    script: Script,
}

impl MemoryBucket {
    /// An empty bucket.
    #[must_use]
    pub fn new(clock: ManualClock, script: Script) -> Self {
        Self {
            objects: Arc::default(),
            clock,
            script,
        }
    }

    /// Puts an object there, as Lambda does.
    pub fn put(&self, key: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        lock(&self.objects).insert(key.into(), (bytes.into(), self.clock.now_ms()));
    }

    /// The names of all objects, in their order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        lock(&self.objects).keys().cloned().collect()
    }

    fn page(&self, after: Option<&str>) -> ObjectPage {
        let objects = lock(&self.objects);
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut behind = objects
            .range::<str, _>((from, Bound::Unbounded))
            .filter(|(key, _)| key.starts_with(KEYS_PREFIX));
        let info = |(key, (bytes, written_ms)): (&String, &(Vec<u8>, i64))| ObjectInfo {
            key: key.clone(),
            bytes: bytes.len() as u64,
            written_ms: *written_ms,
        };
        ObjectPage {
            objects: behind.by_ref().take(PAGE_KEYS).map(info).collect(),
            more: behind.next().is_some(),
        }
    }
}

impl LetterBucket for MemoryBucket {
    fn list<'a>(&'a self, after: Option<&'a str>) -> BucketAnswer<'a, ObjectPage> {
        Box::pin(async move {
            let fault = self.script.begin(Op::List).await?;
            let page = self.page(after);
            self.script.finish(fault).await?;
            Ok(page)
        })
    }

    fn get<'a>(&'a self, key: &'a str) -> BucketAnswer<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let fault = self.script.begin(Op::Get).await?;
            let bytes = lock(&self.objects).get(key).map(|(bytes, _)| bytes.clone());
            self.script.finish(fault).await?;
            Ok(bytes)
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BucketAnswer<'a, ()> {
        Box::pin(async move {
            let fault = self.script.begin(Op::Remove).await?;
            lock(&self.objects).remove(key);
            self.script.finish(fault).await
        })
    }
}
