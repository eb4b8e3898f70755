//! What a deployment is going to do, and what it has done.

use std::collections::BTreeMap;

use tidemark_aws::admin::ImportedResource;

use crate::changes::Made;
use crate::emulated::JoinedAlarm;
use crate::release::Release;
use crate::smoke::Passed;

/// What is going to be done, before anybody is asked.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The alarms' change set; `None` when there is nothing to change.
    pub(crate) alarms: Option<Made>,
    /// The pipeline's first change set.
    pub(crate) pipeline: Option<Made>,
    /// What is taken over from a deployment that was destroyed.
    pub(crate) taken_over: Vec<ImportedResource>,
    /// What the emulator makes anew although it was kept.
    pub(crate) made_anew: Vec<String>,
    /// Alarms of an emulator that are made after the stack.
    pub(crate) alarms_joined: Vec<JoinedAlarm>,
    /// Alarms that are left out for an emulator, by what stands behind the prefix in their names.
    pub(crate) alarms_left_out: Vec<&'static str>,
    /// Parameters of the pipeline that the stage does not name and that stay as the stack has them.
    pub(crate) stay: BTreeMap<String, String>,
    /// The release of the stack that stood before; `None`: there was none.
    pub(crate) before: Option<Release>,
    /// What the pipeline gets in a second step, when the first is done.
    pub(crate) then: Option<BTreeMap<String, String>>,
}

/// What was done.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) plan: Plan,
    pub(crate) outputs: BTreeMap<String, String>,
    pub(crate) smoke: Option<Passed>,
}
