//! The doors that mail is read through. They read views and tables, and write by appending events: nothing here
//! changes a view itself.

pub mod http;
