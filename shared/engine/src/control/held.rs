//! The copy itself: what was read, taken item by item. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidemark_domain::catalogue::KeyName;
use tidemark_domain::control::diff::may_follow;
use tidemark_domain::control::item::{Field, Fields, ItemError};
use tidemark_domain::control::lists::NamedLists;
use tidemark_domain::control::maps::{MAP_COPY_MS, MapTimeline, MapVersion};
use tidemark_domain::control::{ActivePointer, Mode, ModeSetting, OWN_POLICY, Overrides, PolicyVersion};
use tidemark_domain::lists::ListTerms;
use tidemark_domain::mapped::MapsInForce;
use tidemark_domain::policy::{Policy, PolicyProblem};
use tidemark_domain::trees::TreeModelKey;

use super::lists::{Lists, UnusableList};
use super::maps::{MapRead, Maps, UnusableMap};
use super::models::{Models, UnusableModel};
use crate::directives::{Candidate, Directives};
use crate::port::{PortError, Units};

/// Published policies that are kept parsed: the active one, a candidate, and two that a rollback may want.
const POLICIES_KEPT_MAX: usize = 4;

/// Something that could not be read or understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlProblem {
    /// The table did not answer: the whole copy is as it was.
    #[error("the control plane can't be read")]
    Unread(#[source] PortError),
    /// An item is not what it should be: its last good copy stays in force.
    #[error(transparent)]
    Item(#[from] ItemError),
    /// A policy that the pointer names can't be used.
    #[error("policy {version}")]
    Policy {
        /// Which version.
        version: u32,
        /// Why not.
        #[source]
        why: UnusablePolicy,
    },
    /// A list that a policy declares can't be had: its last good copy stays in force.
    #[error("list {name}")]
    List {
        /// Which list.
        name: KeyName,
        /// Why not.
        #[source]
        why: UnusableList,
    },
    /// A published map that is, was or will be in force can't be had: records that it judges come again.
    #[error("map {version}")]
    Map {
        /// Which map.
        version: MapVersion,
        /// Why not.
        #[source]
        why: UnusableMap,
    },
}

/// Why a policy that the pointer names can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusablePolicy {
    /// There is no such item.
    #[error("it was never published")]
    Unpublished,
    /// The table did not answer.
    #[error(transparent)]
    Unread(PortError),
    /// Its text is wrong: the first problem in it.
    #[error("its text is not a policy")]
    Text(#[source] Option<PolicyProblem>),
    /// Its text is that of this other version.
    #[error("its text says version {0}")]
    OtherVersion(u32),
    /// It counts in another currency.
    #[error("its base currency is not that of the stored amounts")]
    OtherCurrency,
    /// The model of trees that it names can't be had.
    #[error("model {key}")]
    Model {
        /// The model's name.
        key: TreeModelKey,
        /// Why not.
        #[source]
        why: UnusableModel,
    },
}

impl ControlProblem {
    /// Whether a list can't be had.
    #[must_use]
    pub const fn is_of_list(&self) -> bool {
        matches!(self, Self::List { .. })
    }

    /// Whether a published map can't be had.
    #[must_use]
    pub const fn is_of_map(&self) -> bool {
        matches!(self, Self::Map { .. })
    }

    /// Whether a policy can't be used for want of its model of trees.
    #[must_use]
    pub const fn is_of_model(&self) -> bool {
        matches!(
            self,
            Self::Policy {
                why: UnusablePolicy::Model { .. },
                ..
            }
        )
    }
}

/// What is known of the copy, for metrics and logs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ControlStatus {
    /// Time since everything was read and understood, milliseconds; `None`: it never was.
    pub age_ms: Option<i64>,
    /// What was wrong at the last read.
    pub problems: Vec<ControlProblem>,
    /// Capacity that reads consumed since the last status.
    pub units: Units,
}

/// What one read brought.
pub(super) struct Loaded {
    pub(super) pointer: Option<Result<ActivePointer, ItemError>>,
    pub(super) mode: Option<Fields>,
    pub(super) overrides: Option<Fields>,
    pub(super) lists: Option<Result<NamedLists, ItemError>>,
    pub(super) maps: Option<Result<MapTimeline, ItemError>>,
    pub(super) map_texts: Vec<(MapVersion, MapRead)>,
    pub(super) policies: Vec<(u32, PolicyRead)>,
    pub(super) units: Units,
}

/// What the read of a policy brought.
pub(super) enum PolicyRead {
    Item(Option<Fields>),
    /// It is there, and the model of trees that it names can't be had.
    WithoutModel(TreeModelKey, UnusableModel),
    Failed(PortError),
}

/// The copy.
pub(super) struct Held {
    own: Arc<Policy>,
    current: Directives,
    /// Whether anything was ever read.
    is_read: bool,
    policies: BTreeMap<u32, Arc<Policy>>,
    pub(super) models: Models,
    pub(super) lists: Lists,
    pub(super) maps: Maps,
    whole_at_ms: Option<i64>,
    /// When the mode was read and understood last.
    mode_at_ms: Option<i64>,
    pub(super) tried_at_ms: Option<i64>,
    problems: Vec<ControlProblem>,
    units: Units,
}

impl Held {
    pub(super) fn new(own: Arc<Policy>) -> Self {
        Self {
            current: Directives::standing(Arc::clone(&own)),
            own,
            is_read: false,
            policies: BTreeMap::new(),
            models: Models::default(),
            lists: Lists::default(),
            maps: Maps::default(),
            whole_at_ms: None,
            mode_at_ms: None,
            tried_at_ms: None,
            problems: Vec::new(),
            units: Units::default(),
        }
    }

    pub(super) fn directives(&self) -> Option<Directives> {
        self.is_read.then(|| self.current.clone())
    }

    /// Whether so much time has passed since everything was read and understood. A clock that was set back counts, too.
    pub(super) fn is_older_than(&self, age_ms: i64, now_ms: i64) -> bool {
        self.whole_at_ms
            .is_none_or(|whole_ms| !(0..age_ms).contains(&(now_ms - whole_ms)))
    }

    /// A copy older than this is read again before the next batch, milliseconds: where maps are in force, long before it judges no more.
    pub(super) fn wait_after_ms(&self, usual_ms: i64) -> i64 {
        match self.current.maps {
            Some(_) => usual_ms.min(MAP_COPY_MS / 2),
            None => usual_ms,
        }
    }

    /// Whether the mode was read and understood longer ago than that, or never.
    pub(super) fn is_mode_older_than(&self, age_ms: i64, now_ms: i64) -> bool {
        self.mode_at_ms.is_none_or(|read_ms| now_ms - read_ms > age_ms)
    }

    pub(super) fn status(&mut self, now_ms: i64) -> ControlStatus {
        ControlStatus {
            age_ms: self.whole_at_ms.map(|whole_ms| (now_ms - whole_ms).max(0)),
            problems: self.problems.clone(),
            units: std::mem::take(&mut self.units),
        }
    }

    /// The published policies that a pointer names and that have not been read yet.
    pub(super) fn unknown_policies(&self, pointer: &ActivePointer) -> Vec<u32> {
        let candidate = pointer.rollout.map(|rollout| rollout.candidate);
        let mut wanted: Vec<u32> = std::iter::once(pointer.active).chain(candidate).collect();
        wanted.dedup();
        wanted.retain(|version| *version != OWN_POLICY && !self.policies.contains_key(version));
        wanted
    }

    /// Begins to read lists: those that the policies declare which are in force, are tried, or were just read. Whether there are any.
    pub(super) fn begin_lists(&mut self, loaded: &Loaded) -> bool {
        let mut declared: Vec<ListTerms> = self.current.policy.lists.terms().to_vec();
        let candidate = self.current.candidate.as_ref();
        declared.extend(candidate.iter().flat_map(|candidate| candidate.policy.lists.terms()));
        if let Some(Ok(pointer)) = &loaded.pointer {
            let candidate = pointer.rollout.map(|rollout| rollout.candidate);
            for version in std::iter::once(pointer.active).chain(candidate) {
                let known = self.known(version);
                declared.extend(known.iter().flat_map(|policy| policy.lists.terms()));
            }
        } else {
            declared.extend(self.own.lists.terms());
        }
        for (_, read) in &loaded.policies {
            if let PolicyRead::Item(Some(fields)) = read
                && let Some(Field::Text(text)) = fields.get("text")
            {
                declared.extend(Policy::lists_named(text));
            }
        }
        declared.sort_by_key(|terms| (terms.name, terms.of));
        declared.dedup();
        let named = loaded.lists.as_ref().and_then(|lists| lists.as_ref().ok());
        self.lists.begin(&declared, named);
        !declared.is_empty()
    }

    fn known(&self, version: u32) -> Option<Arc<Policy>> {
        match version {
            OWN_POLICY => Some(Arc::clone(&self.own)),
            published => self.policies.get(&published).cloned(),
        }
    }

    /// Takes what a read brought. Its maps judge what arrived until `judges_until_ms` (ms since 1970-01-01T00:00:00Z).
    pub(super) fn take(&mut self, loaded: Result<Loaded, PortError>, judges_until_ms: i64, now_ms: i64) {
        self.problems.clear();
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                self.problems.push(ControlProblem::Unread(error));
                return;
            }
        };
        self.units += loaded.units;
        for (version, read) in loaded.policies {
            match self.policy(version, read) {
                Ok(policy) => {
                    self.policies.insert(version, Arc::new(policy));
                }
                Err(problem) => self.problems.push(problem),
            }
        }
        let trees = self.policies.values().filter_map(|policy| policy.trees.as_ref());
        self.models.keep_whole(&trees.map(|trees| trees.key).collect());
        if let Some(Err(error)) = loaded.lists {
            self.problems.push(error.into());
        }
        self.take_maps(loaded.maps, loaded.map_texts, judges_until_ms);
        let lists = self.lists.problems();
        self.problems
            .extend(lists.map(|(name, why)| ControlProblem::List { name, why }));
        // A policy whose lists are on their way for the first time waits for them: until then, the one before judges, or nobody.
        let is_waiting = self.lists.is_under_way();
        self.is_read |= !is_waiting;
        match loaded.pointer {
            _ if is_waiting => {}
            Some(Ok(pointer)) => self.take_pointer(&pointer),
            Some(Err(error)) => self.problems.push(error.into()),
            None => {
                self.current.policy = Arc::clone(&self.own);
                self.current.candidate = None;
            }
        }
        self.bind_lists();
        self.take_mode(loaded.mode.as_ref(), now_ms);
        self.take_overrides(loaded.overrides.as_ref());
        if self.problems.is_empty() {
            self.whole_at_ms = Some(now_ms);
        }
    }

    fn policy(&self, version: u32, read: PolicyRead) -> Result<Policy, ControlProblem> {
        let wrong = |why| ControlProblem::Policy { version, why };
        let fields = match read {
            PolicyRead::Item(Some(fields)) => fields,
            PolicyRead::Item(None) => return Err(wrong(UnusablePolicy::Unpublished)),
            PolicyRead::WithoutModel(key, why) => return Err(wrong(UnusablePolicy::Model { key, why })),
            PolicyRead::Failed(error) => return Err(wrong(UnusablePolicy::Unread(error))),
        };
        let published = PolicyVersion::from_fields(version, &fields)?;
        let models = |key| self.models.whole(key);
        let policy = Policy::parse_with(&published.text, &format!("policy {version}"), &models)
            .map_err(|problems| wrong(UnusablePolicy::Text(problems.into_iter().next())))?;
        if policy.version != version {
            return Err(wrong(UnusablePolicy::OtherVersion(policy.version)));
        }
        if !may_follow(&self.own, &policy) {
            return Err(wrong(UnusablePolicy::OtherCurrency));
        }
        Ok(policy)
    }

    /// The active policy is taken whenever it can be, so that a broken candidate never holds up a rollback.
    fn take_pointer(&mut self, pointer: &ActivePointer) {
        let known = |version: u32| self.known(version);
        let candidate = pointer
            .rollout
            .and_then(|rollout| known(rollout.candidate).map(|policy| Candidate { policy, rollout }));
        if let Some(policy) = known(pointer.active) {
            self.current.policy = policy;
            self.current.candidate = candidate;
        }
        if self.policies.len() > POLICIES_KEPT_MAX {
            let named = |version: u32| {
                version == pointer.active || pointer.rollout.is_some_and(|rollout| rollout.candidate == version)
            };
            self.policies.retain(|version, _| named(*version));
        }
    }

    fn take_maps(
        &mut self,
        timeline: Option<Result<MapTimeline, ItemError>>,
        texts: Vec<(MapVersion, MapRead)>,
        judges_until_ms: i64,
    ) {
        let mut read = Vec::new();
        for (version, text) in texts {
            match text {
                Ok(map) => read.push((version, map)),
                Err(why) => self.problems.push(ControlProblem::Map { version, why }),
            }
        }
        match timeline {
            None => self.current.maps = None,
            Some(Ok(timeline)) => self.current.maps = Some(self.maps.take(timeline, read, judges_until_ms)),
            Some(Err(error)) => {
                // What was read before judges on until its time is over; without that, nobody knows what is in force.
                if !self.maps.is_known() {
                    let unknown = Arc::new(MapTimeline::unknown());
                    self.current.maps = Some(MapsInForce::new(unknown, Arc::default(), judges_until_ms));
                }
                self.problems.push(error.into());
            }
        }
    }

    /// Hands the policies in force the lists that are at hand.
    fn bind_lists(&mut self) {
        let bound = |policy: &mut Arc<Policy>| {
            if !policy.lists.terms().is_empty() {
                *policy = Arc::new(policy.with_lists(|name| self.lists.find(name)));
            }
        };
        bound(&mut self.current.policy);
        if let Some(candidate) = &mut self.current.candidate {
            bound(&mut candidate.policy);
        }
    }

    fn take_mode(&mut self, fields: Option<&Fields>, now_ms: i64) {
        match fields.map(ModeSetting::from_fields).transpose() {
            Ok(setting) => {
                self.current.mode = setting.map_or(Mode::Live, |setting| setting.mode);
                self.mode_at_ms = Some(now_ms);
            }
            Err(error) => self.problems.push(error.into()),
        }
    }

    fn take_overrides(&mut self, fields: Option<&Fields>) {
        match fields.map(Overrides::from_fields).transpose() {
            Ok(overrides) => {
                let overrides = overrides.unwrap_or_default();
                if *self.current.overrides != overrides {
                    self.current.overrides = Arc::new(overrides);
                }
            }
            Err(error) => self.problems.push(error.into()),
        }
    }
}
