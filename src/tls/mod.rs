//! Certificates and their choice by SNI.
