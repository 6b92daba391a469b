//! What SQL Server's error numbers mean for a caller, as documented by Microsoft.

use tiberius::error::{Error as TdsError, IoErrorKind};

use crate::ledger::error::{Cause, Error, Failure};

/// Errors that pass by themselves.
const TRANSIENT: &[u32] = &[
    20,    // the instance does not support encryption: seen while a gateway restarts
    64,    // connected, then lost during login
    121,   // the semaphore timeout period has expired
    233,   // no process is on the other end of the pipe
    615,   // could not find database table ID: a failover
    926,   // the database is marked suspect: a failover
    1204,  // no lock to be had
    1205,  // chosen as deadlock victim
    1222,  // lock request timed out
    3960,  // snapshot isolation conflict
    3966,  // the transaction was rolled back by version cleanup
    4060,  // cannot open the database: it is being moved
    4221,  // login to a read secondary failed
    10053, // broken connection
    10054, // broken connection
    10060, // no connection
    10928, // limit of workers or sessions
    10929, // limit of workers or sessions
    10936, // limit of an elastic pool
    17197, // login timed out
    18401, // server is in script upgrade mode
    40143, // error while processing the request
    40166, // reconfiguration
    40197, // error while processing the request: failover, upgrade
    40501, // the service is busy
    40540, // error while processing the request
    40613, // the database is not available: also one that paused and is resuming
    40642, // the server is too busy
    40671, // the gateway cannot reach the server
    41301, // dependency failure
    41302, // updated by another transaction
    41305, // repeatable read validation
    41325, // serializable validation
    41839, // commit dependencies
    42108, // the SQL pool is paused
    42109, // the SQL pool is warming up
    49918, // not enough resources for the request
    49919, // too many create or update operations
    49920, // too many operations
    49977, // the operation is in progress
    49983, // the operation is in progress
];

/// Errors that a person has to mend: users, roles, firewalls.
const DENIED: &[u32] = &[
    229,   // no permission on the object
    230,   // no permission on the column
    262,   // no permission to create
    300,   // no permission on the server
    916,   // the user has no access to the database
    2760,  // the schema is not there or not ours
    18452, // the login is from an untrusted domain
    18456, // login failed
    18470, // the account is disabled
    18486, // the account is locked
    18487, // the password expired
    18488, // the password must be changed
    40532, // cannot open the server requested by the login
    40615, // the firewall knows no such address
    47073, // public access is off
    47089, // the connection is not allowed
];

/// Errors of two instances that make or write the same: the second finds it there when it asks again.
const CONFLICT: &[u32] = &[
    2601, // duplicate key
    2627, // duplicate key
    2714, // there is already an object of that name
    2759, // the schema could not be made, because of 2714
];

/// The app's table is not there.
const NO_TABLE: u32 = 208;

/// What an error number means.
pub(super) fn numbered(number: u32) -> Failure {
    let cause = Cause::SqlServer(number);
    if number == NO_TABLE {
        Failure::NoTable
    } else if CONFLICT.contains(&number) {
        Failure::Conflict(cause)
    } else if TRANSIENT.contains(&number) {
        Error::Transient(cause).into()
    } else if DENIED.contains(&number) {
        Error::Denied(cause).into()
    } else {
        Error::Refused(cause).into()
    }
}

/// What an error of the driver means. What it says in words is left behind.
pub(super) fn failure(error: &TdsError) -> Failure {
    match error {
        TdsError::Server(said) => numbered(said.code()),
        // What TLS refuses is reported as invalid data.
        TdsError::Tls(_)
        | TdsError::Io {
            kind: IoErrorKind::InvalidData,
            ..
        } => Error::Refused(Cause::Tls).into(),
        TdsError::Io {
            kind: IoErrorKind::TimedOut,
            ..
        } => Error::Transient(Cause::TimedOut).into(),
        TdsError::Io { kind, .. } => Error::Transient(Cause::Connection(*kind)).into(),
        _ => Error::Refused(Cause::Answer).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_numbers_are_known() {
        for number in [
            64, 233, 1205, 4060, 10053, 10054, 10060, 10928, 10929, 40143, 40197, 40501, 40613,
            49918, 49919, 49920,
        ] {
            let Failure::Error(error) = numbered(number) else {
                panic!("{number}");
            };
            assert!(error.is_transient(), "{number}");
        }
        assert_eq!(
            numbered(18456),
            Failure::Error(Error::Denied(Cause::SqlServer(18456)))
        );
        assert_eq!(numbered(2627), Failure::Conflict(Cause::SqlServer(2627)));
        assert_eq!(numbered(208), Failure::NoTable);
        assert_eq!(
            numbered(102),
            Failure::Error(Error::Refused(Cause::SqlServer(102)))
        );
    }

    #[test]
    fn no_number_means_two_things() {
        let mut all: Vec<u32> = [TRANSIENT, DENIED, CONFLICT, &[NO_TABLE]].concat();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
