import java.util.Objects;

/** One line for each step: that it ended as it should, or why not. */
final class Steps {
    interface Act {
        void run() throws Exception;
    }

    private Steps() {
    }

    static void step(String name, Act act) {
        try {
            act.run();
            System.out.println("ok " + name);
        } catch (Exception | AssertionError each) {
            System.out.println("not ok " + name + ": " + each);
        }
    }

    static void same(Object expected, Object found) {
        check(Objects.equals(expected, found), "expected " + expected + "\nfound " + found);
    }

    static void check(boolean isSo, String otherwise) {
        if (!isSo) {
            throw new AssertionError(otherwise);
        }
    }
}
