//! The ledger from outside: what is answered, what is on disk, what an auditor sees.

#[cfg(test)]
mod appending;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod cosigners;
#[cfg(test)]
mod cosigning;
#[cfg(test)]
mod evidence;
#[cfg(test)]
mod exporting;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod model;
#[cfg(test)]
mod place;
#[cfg(test)]
mod restoring;
#[cfg(test)]
mod rotating;
#[cfg(test)]
mod starting;
