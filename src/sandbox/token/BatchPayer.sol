// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// What the payer needs of a token.
interface Token {
    function transferFrom(address from, address to, uint256 value) external returns (bool);
}

/// Makes many transfers in one transaction, as pay-out services do. The payer approves it first.
///
/// Deliberately absent: any balance of its own.
contract BatchPayer {
    struct Item {
        address token;
        address to;
        uint256 amount;
    }

    /// Pays everything, or reverts as a whole with the token's reason.
    function pay(Item[] calldata items) external {
        for (uint256 i = 0; i < items.length; i++) {
            Token(items[i].token).transferFrom(msg.sender, items[i].to, items[i].amount);
        }
    }

    /// Tries each item by itself, and succeeds even when none of them moved anything.
    function payWhatWorks(Item[] calldata items) external {
        for (uint256 i = 0; i < items.length; i++) {
            try Token(items[i].token).transferFrom(msg.sender, items[i].to, items[i].amount) {} catch {}
        }
    }
}
