//! A signature carries out a write at most once: whoever repeats a request gets the first answer and changes nothing.

mod replicas;
mod requests;
mod writes;
