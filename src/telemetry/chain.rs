use std::error::Error;

/// An error and its causes, in one line.
pub fn chain(error: &(dyn Error + '_)) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}")).replace('\n', " ")
}
