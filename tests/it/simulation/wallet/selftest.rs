//! The wallet's fakes on their own.
