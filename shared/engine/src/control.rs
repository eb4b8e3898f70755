//! The control plane as a function sees it: read in the background, kept, and handed out as one snapshot for a batch.
//!
//! Each item is judged by itself. What can't be read, or is wrong, leaves its last good copy in force; the age of the copy
//! is the time since everything was read and understood.

mod held;
mod lists;
mod maps;
mod models;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};

use futures_util::future::{Either, select};
use tidemark_domain::control::item::{Field, Fields};
use tidemark_domain::control::lists::NamedLists;
use tidemark_domain::control::maps::{MAP_COPY_MS, MapTimeline, MapVersion};
use tidemark_domain::control::{ActivePointer, Mode};
use tidemark_domain::lists::ListPartKey;
use tidemark_domain::policy::{NamedModel, Policy};
use tidemark_domain::trees::TreeModelKey;

use crate::directives::Directives;
use crate::lock::lock;
use crate::port::{Clock, Metered, PortError, Units};
use held::{Held, Loaded, PolicyRead};
use maps::MapRead;

pub use held::{ControlProblem, ControlStatus, UnusablePolicy};
pub use lists::{LIST_PARTS_IN_READ_MAX, UnusableList};
pub use maps::{MapReader, UnusableMap};
pub use models::UnusableModel;

/// The items of the control plane but for policies, as they are stored; absent ones were never written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlItems {
    /// Which policy is in force.
    pub active: Option<Fields>,
    /// How to work.
    pub mode: Option<Fields>,
    /// What somebody decided for single cards.
    pub overrides: Option<Fields>,
    /// Which lists there are, and what they consist of.
    pub lists: Option<Fields>,
    /// Which published map is in force since when.
    pub maps: Option<Fields>,
}

/// Where the control plane is read.
pub trait ControlPlane: Send + Sync {
    /// Reads the items, strongly consistent, so that a snapshot never goes back in time.
    fn read(&self) -> impl Future<Output = Result<Metered<ControlItems>, PortError>> + Send;

    /// Reads a published policy, strongly consistent.
    fn read_policy(&self, version: u32) -> impl Future<Output = Result<Metered<Option<Fields>>, PortError>> + Send;

    /// Reads a published map, strongly consistent.
    fn read_map(&self, version: MapVersion) -> impl Future<Output = Result<Metered<Option<Fields>>, PortError>> + Send;

    /// Reads a chunk of a model of trees, strongly consistent.
    fn read_chunk(
        &self,
        model: TreeModelKey,
        index: u16,
    ) -> impl Future<Output = Result<Metered<Option<Fields>>, PortError>> + Send;

    /// Reads parts and manifests of lists, at most [`LIST_PARTS_IN_READ_MAX`], strongly consistent; those that are not there are left out.
    fn read_list_parts(
        &self,
        keys: &[ListPartKey],
    ) -> impl Future<Output = Result<Metered<BTreeMap<ListPartKey, Fields>>, PortError>> + Send;
}

/// No control plane: what the function was started with holds for ever.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoControl;

impl ControlPlane for NoControl {
    async fn read(&self) -> Result<Metered<ControlItems>, PortError> {
        Ok(Metered {
            value: ControlItems::default(),
            units: Units::default(),
        })
    }

    async fn read_policy(&self, _: u32) -> Result<Metered<Option<Fields>>, PortError> {
        Ok(Metered {
            value: None,
            units: Units::default(),
        })
    }

    async fn read_map(&self, _: MapVersion) -> Result<Metered<Option<Fields>>, PortError> {
        Ok(Metered {
            value: None,
            units: Units::default(),
        })
    }

    async fn read_chunk(&self, _: TreeModelKey, _: u16) -> Result<Metered<Option<Fields>>, PortError> {
        Ok(Metered {
            value: None,
            units: Units::default(),
        })
    }

    async fn read_list_parts(&self, _: &[ListPartKey]) -> Result<Metered<BTreeMap<ListPartKey, Fields>>, PortError> {
        Ok(Metered {
            value: BTreeMap::new(),
            units: Units::default(),
        })
    }
}

/// When and how the control plane is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlConfig {
    /// A copy older than this is read again beside the next batch, milliseconds.
    pub refresh_after_ms: i64,
    /// A copy older than this is read again before the next batch, milliseconds.
    pub wait_after_ms: i64,
    /// So long a read may take, milliseconds.
    pub timeout_ms: u64,
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self {
            refresh_after_ms: 5_000,
            wait_after_ms: 10_000,
            timeout_ms: 1_000,
        }
    }
}

/// A copy whose mode is `shadow` and was read longer ago than this judges no batch, milliseconds: an outcome that is withheld is
/// not sent later, so nobody withholds one by an old copy. `tidemark audit` counts on it.
pub const SHADOW_COPY_MS_MAX: i64 = 14 * 60 * 1_000;
/// How often a batch that needs a list for the first time waits for more of it at most, each time for at most the timeout.
pub const LIST_ROUNDS_MAX: u32 = 10;
/// How long a finished batch waits for a read that is under way beside it, milliseconds: a read takes a few.
const GRACE_MS: u64 = 100;

/// The control plane's copy in a process.
pub struct Control<P> {
    plane: P,
    config: ControlConfig,
    map_reader: Option<Arc<dyn MapReader>>,
    held: Mutex<Held>,
}

impl<P: ControlPlane> Control<P> {
    /// Nothing is read yet; `own` is the policy that the function was started with.
    #[must_use]
    pub fn new(plane: P, own: Arc<Policy>, config: ControlConfig) -> Self {
        Self {
            plane,
            config,
            map_reader: None,
            held: Mutex::new(Held::new(own)),
        }
    }

    /// The same with published maps, which this reads.
    #[must_use]
    pub fn with_maps(mut self, reader: Arc<dyn MapReader>) -> Self {
        self.map_reader = Some(reader);
        self
    }

    /// The snapshot for a batch that begins now. Where the copy is too old, it is read first, for at most the timeout;
    /// where that fails, the older copy serves. `None` where it can't: nothing could be read since the process began, so that
    /// nobody knows which policy is in force, or the mode is `shadow` by a copy older than [`SHADOW_COPY_MS_MAX`].
    pub async fn ready<C: Clock>(&self, clock: &C) -> Option<Directives> {
        let now_ms = clock.now_ms();
        let is_due = {
            let held = lock(&self.held);
            held.is_older_than(held.wait_after_ms(self.config.wait_after_ms), now_ms) && self.may_try(&held, now_ms)
        };
        if is_due {
            self.refresh(clock).await;
            for _ in 1..LIST_ROUNDS_MAX {
                if !lock(&self.held).lists.is_under_way() {
                    break;
                }
                self.refresh(clock).await;
            }
        }
        let held = lock(&self.held);
        let withholds_by_an_old_copy = |directives: &Directives| {
            directives.mode == Mode::Shadow && held.is_mode_older_than(SHADOW_COPY_MS_MAX, clock.now_ms())
        };
        held.directives()
            .filter(|directives| !withholds_by_an_old_copy(directives))
    }

    /// Does `work`, and reads the control plane beside it where the copy is due: it serves the next batch.
    pub async fn beside<C: Clock, T>(&self, clock: &C, work: impl Future<Output = T>) -> T {
        let now_ms = clock.now_ms();
        let is_due = {
            let held = lock(&self.held);
            held.is_older_than(self.config.refresh_after_ms, now_ms) && self.may_try(&held, now_ms)
        };
        if !is_due {
            return work.await;
        }
        let (work, refresh) = (pin!(work), pin!(self.refresh(clock)));
        match select(work, refresh).await {
            Either::Right(((), work)) => work.await,
            Either::Left((done, refresh)) => {
                // What is not done by then is dropped, and tried again when it is due.
                let _either = select(refresh, pin!(clock.sleep_ms(GRACE_MS))).await;
                done
            }
        }
    }

    /// Reads the control plane now, for at most the timeout.
    pub async fn refresh<C: Clock>(&self, clock: &C) {
        let began_ms = clock.now_ms();
        lock(&self.held).tried_at_ms = Some(began_ms);
        // Without its type: the compiler follows nested futures only so deep.
        let load: Pin<Box<dyn Future<Output = Result<Loaded, PortError>> + Send + '_>> = Box::pin(self.load());
        let mut loaded = self.in_time(clock, load).await.and_then(|loaded| loaded);
        if let Ok(loaded) = &mut loaded
            && lock(&self.held).begin_lists(loaded)
        {
            let load: Pin<Box<dyn Future<Output = Result<(), PortError>> + Send + '_>> =
                Box::pin(self.load_lists(&mut loaded.units));
            let lists = self.in_time(clock, load).await.and_then(|lists| lists);
            if let Err(error) = lists {
                lock(&self.held).lists.unread(&error);
            }
        }
        lock(&self.held).take(loaded, began_ms.saturating_add(MAP_COPY_MS), clock.now_ms());
    }

    /// What comes of some reads, for at most the timeout.
    async fn in_time<C: Clock, T>(&self, clock: &C, reads: impl Future<Output = T> + Unpin) -> Result<T, PortError> {
        let timeout = pin!(clock.sleep_ms(self.config.timeout_ms));
        match select(reads, timeout).await {
            Either::Left((done, _)) => Ok(done),
            Either::Right(_) => Err(PortError::Timeout(format!(
                "no answer within {} ms",
                self.config.timeout_ms
            ))),
        }
    }

    /// The state of the copy; takes the units that reads consumed.
    pub fn status(&self, now_ms: i64) -> ControlStatus {
        lock(&self.held).status(now_ms)
    }

    /// A read that failed is not tried again at once, or every batch would wait for it; unless nothing was ever read: then a
    /// batch goes back anyway, and would go on doing so after the table is there again.
    fn may_try(&self, held: &Held, now_ms: i64) -> bool {
        held.directives().is_none()
            || held
                .tried_at_ms
                .is_none_or(|tried_ms| !(0..self.config.refresh_after_ms).contains(&(now_ms - tried_ms)))
    }

    async fn load(&self) -> Result<Loaded, PortError> {
        let items = self.plane.read().await?;
        let mut loaded = Loaded {
            pointer: items.value.active.as_ref().map(ActivePointer::from_fields),
            mode: items.value.mode,
            overrides: items.value.overrides,
            lists: items.value.lists.as_ref().map(NamedLists::from_fields),
            maps: items.value.maps.as_ref().map(MapTimeline::from_fields),
            map_texts: Vec::new(),
            policies: Vec::new(),
            units: items.units,
        };
        if let Some(Ok(timeline)) = &loaded.maps {
            let wanted = lock(&self.held).maps.unread(timeline);
            for version in wanted {
                let read = self.load_map(version, &mut loaded.units).await;
                loaded.map_texts.push((version, read));
            }
        }
        let wanted = match &loaded.pointer {
            Some(Ok(pointer)) => lock(&self.held).unknown_policies(pointer),
            Some(Err(_)) | None => Vec::new(),
        };
        for version in wanted {
            let read = match self.plane.read_policy(version).await {
                Ok(answer) => {
                    loaded.units += answer.units;
                    match self.load_model(answer.value.as_ref(), &mut loaded.units).await {
                        Ok(()) => PolicyRead::Item(answer.value),
                        Err((model, why)) => PolicyRead::WithoutModel(model, why),
                    }
                }
                Err(error) => PolicyRead::Failed(error),
            };
            loaded.policies.push((version, read));
        }
        Ok(loaded)
    }

    /// Reads a published map, and makes it ready.
    async fn load_map(&self, version: MapVersion, units: &mut Units) -> MapRead {
        let answer = self.plane.read_map(version).await.map_err(UnusableMap::Unread)?;
        *units += answer.units;
        maps::ready(version, answer.value.as_ref(), self.map_reader.as_deref())
    }

    /// Reads what is wanted of lists. Each part is kept as it comes, so that a read which is given up on goes on where it was.
    async fn load_lists(&self, units: &mut Units) -> Result<(), PortError> {
        loop {
            let Some((name, keys)) = lock(&self.held).lists.wanted() else {
                return Ok(());
            };
            let answer = self.plane.read_list_parts(&keys).await?;
            *units += answer.units;
            lock(&self.held).lists.take(name, &keys, answer.value);
        }
    }

    /// Reads the model of trees that a published policy names, as far as it is not at hand. Each chunk is kept as it comes, so that
    /// a read which is given up on goes on where it was.
    async fn load_model(
        &self,
        policy: Option<&Fields>,
        units: &mut Units,
    ) -> Result<(), (TreeModelKey, UnusableModel)> {
        let Some(Field::Text(text)) = policy.and_then(|fields| fields.get("text")) else {
            return Ok(());
        };
        let Some(NamedModel { key, .. }) = Policy::model_named(text) else {
            return Ok(());
        };
        loop {
            let Some(index) = lock(&self.held).models.wanted(key) else {
                return Ok(());
            };
            let answer = self.plane.read_chunk(key, index).await;
            let answer = answer.map_err(|error| (key, UnusableModel::Unread(error)))?;
            *units += answer.units;
            let taken = lock(&self.held).models.take(key, index, answer.value.as_ref());
            taken.map_err(|why| (key, why))?;
        }
    }
}
