//! In which order a thread does what it has to do: all that is done here to have requests that came together served together.

pub(crate) mod answers;
pub(crate) mod queue;
pub(crate) mod yielding;
