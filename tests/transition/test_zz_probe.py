import time
from stateguard import faults
from transition.setting import *
def test_x(setting):
    t=time.time()
    g=setting.guard
    from collections import Counter
    passed=[]
    new=setting.commit(CHANGE)
    faults.record(passed)
    a=setting.push(new)
    faults.record(None)
    print(a, time.time()-t, len(passed), Counter(passed))
    print(setting.running(), leftovers(setting.home), audit_problems(g))
    t=time.time(); setting.restart(); print("restart", time.time()-t)
    t=time.time()
    g=setting.guard
    bad=setting.commit(BREAKS | {"config/helper.txt": "mode: bad!\n"})
    print(setting.push(bad), time.time()-t)
    for i in g.store.incidents(): print(i.timeline)
    from stateguard.respond.responder import Back
    from stateguard.respond.withdraw import Target
    t=time.time()
    passed=[]
    faults.record(passed)
    b=g.baselines.get(1)
    r=g.responder.back(Back(Target(b.statement.revision,"baseline/1","x",1),"person:ann","because"))
    faults.record(None)
    print(r.outcome,r.detail,time.time()-t,len(passed),Counter(passed))
    print(setting.running(), leftovers(setting.home), audit_problems(g))
