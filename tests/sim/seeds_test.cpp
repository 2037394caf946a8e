/// Seeds that once failed, each with what it had found. They run in every effort.

#include <gtest/gtest.h>

#include "sim/world.hpp"

namespace peermq::sim {
namespace {

struct Found {
    std::uint64_t seed = 0;
    const char* reason = "";
    Profile profile = Profile::swarm;
};

class SeedTest : public testing::TestWithParam<Found> {};

TEST_P(SeedTest, HoldsNow) {
    RunOptions options;
    options.profile = GetParam().profile;
    const RunResult result = run_seed(GetParam().seed, options);
    EXPECT_TRUE(result.ok()) << GetParam().reason << "\n"
                             << result.text
                             << "replay: " << replay_command(GetParam().seed, GetParam().profile);
}

INSTANTIATE_TEST_SUITE_P(
    Seeds, SeedTest,
    testing::Values(
        Found{49, "seqs of a lost tail come again: in order by epoch, not by seq alone"},
        Found{51,
              "returned messages beyond what was read were handed out, by memory never written"},
        Found{90,
              "records found in the page cache were handed out unsynced, then lost with the power"},
        Found{150, "a nack confirmed after the next lease was granted is not stale"},
        Found{337, "an ack that a crash kept from being confirmed, but not from being stored"},
        Found{935,
              "a batch for the window of an earlier link, refused by the inbox, stuck for ever"},
        Found{1195, "an ack of what a power cut took settled another message of that seq, unseen"},
        Found{1362, "held in silence from a producer in memory that then ended: unflagged"},
        Found{
            1760,
            "killed, then without power before the next opening: level os promises nothing there"},
        Found{1887, "VALID overtook a batch that waited for room: unflagged, inside another's key"},
        Found{2075, "VALID overtook a batch that waited for room: delivered after its end"},
        Found{2319, "a batch for the window of an earlier link, with three producers"},
        Found{4208, "a read error kept a rejected message from the dead letters for ever"},
        Found{5738, "a file half written again made an earlier one end before records of level os"},
        Found{6100, "taken by a power cut while the frame was on its way"},
        Found{6126, "two producers with one consumer each, who both had their one slot elsewhere"},
        Found{6845, "HELD of a run with a settled message of an earlier epoch: taken for foreign"},
        Found{7520, "a dead letter that a power cut took looked stored: its seq was skipped"},
        Found{8680,
              "the spool's directory was made by a process that died before the sync: all lost"},
        Found{13044,
              "of two holders from before a restart the one with the older lease came first"},
        Found{13612, "HELD while the disk did not answer: taken for foreign"},
        Found{20765, "after a restart: given back by one, while a later holder was not heard yet"},
        Found{26951,
              "a reject was confirmed while its message could not be read for the dead letters"},
        Found{42427, "the grace after a restart ended before the HELD of a holder that was back"},
        Found{44989, "after a restart: given back by one, while a later holder was not heard yet"},
        Found{54036, "the grace after a restart ended before the HELD of a holder that was back"},
        Found{75418, "the grace after a restart ended before the HELD of a holder that was back"},
        Found{77732, "the grace after a restart ended before the HELD of a holder that was back"},
        Found{103053, "the grace after a restart ended before the HELD of a holder that was back"},
        Found{111649, "after a restart: recalled from one, while a later holder was not heard yet"},
        Found{114691, "after a restart: released by one, while a later holder was not heard yet"},
        Found{156417,
              "a closed pull whose UNWANT was lost kept its place: resumed with the next link"},
        Found{194099, "heard again over a link that was lost before its WANT: lapsed too early"}),
    [](const auto& each) { return "N" + std::to_string(each.param.seed); });

constexpr const char* kEndedUnderAHolder =
    "after a restart: ended by one, while a later holder was inside its key, and the key was free";

INSTANTIATE_TEST_SUITE_P(Keys, SeedTest,
                         testing::Values(Found{4081, kEndedUnderAHolder, Profile::keys},
                                         Found{5432, kEndedUnderAHolder, Profile::keys},
                                         Found{18228, kEndedUnderAHolder, Profile::keys},
                                         Found{19249, kEndedUnderAHolder, Profile::keys},
                                         Found{25078, kEndedUnderAHolder, Profile::keys},
                                         Found{29697,
                                               "after a restart: what it had started was revoked, "
                                               "for a message of the key that it had acked",
                                               Profile::keys}),
                         [](const auto& each) { return "N" + std::to_string(each.param.seed); });

INSTANTIATE_TEST_SUITE_P(
    Policies, SeedTest,
    testing::Values(
        Found{166, "at most once was sent before the disk knew of it, and came again after a crash",
              Profile::policies},
        Found{327, "what a refused second producer had handed out was never settled with anybody",
              Profile::policies},
        Found{2109, "GRANTED overtook a batch that waited for the disk: slots lost for ever",
              Profile::policies},
        Found{1167, "a drop that was not stored came back after a restart, behind later ones",
              Profile::policies}),
    [](const auto& each) { return "N" + std::to_string(each.param.seed); });

}  // namespace
}  // namespace peermq::sim
